// Decisions as bytes, for the memory that a worker shares with the main thread; decision-decoder.ts is the other half.

import type {CountedDecision, Decision} from '../decision.js'
import {hintText} from '../hint.js'
import {KIND, LENGTH_BYTES, RECORD_MAX, STRING_KNOWN_MAX, STRINGS_KNOWN, TAG} from './decision-format.js'

class TooLarge extends Error {}

/** Strings that come again are sent once and then by number, so records must be read in the order of their making. */
export class DecisionEncoder {
  readonly #bytes = new Uint8Array(LENGTH_BYTES + RECORD_MAX)
  readonly #view = new DataView(this.#bytes.buffer)
  readonly #strings = new Map<string, number>()
  /** The reader is to forget its strings before the next record. */
  #forgets = false
  #at = 0

  /** Valid until the next call. What is too large goes without its arguments, and says so. */
  decision(decision: Decision): Uint8Array {
    try {
      return this.#decision(decision)
    } catch (error) {
      if (!(error instanceof TooLarge)) throw error
      const [syscall, reason] = [decision.syscall.slice(0, 256), decision.reason.slice(0, 1024)]
      this.#forget()
      return this.#decision({
        ...decision,
        syscall,
        values: undefined,
        reason: `${reason}; its arguments are too large for the log`,
        hint: decision.hint !== null && hintText(decision.hint).length > 1024 ? null : decision.hint,
        created: undefined,
      })
    }
  }

  counted({latencyUs, outcome, syscall}: CountedDecision): Uint8Array {
    this.#begin(KIND.counted)
    this.#number(latencyUs)
    this.#string(outcome)
    this.#string(syscall)
    return this.#end()
  }

  silent(syscall: string, count: number): Uint8Array {
    this.#begin(KIND.silent)
    this.#string(syscall)
    this.#number(count)
    return this.#end()
  }

  #decision(decision: Decision): Uint8Array {
    this.#begin(KIND.decision)
    this.#number(decision.timeMs)
    this.#number(decision.latencyUs)
    this.#number(decision.pid)
    this.#number(decision.tid)
    this.#number(decision.hostPid)
    this.#number(decision.uid)
    this.#number(decision.gid)
    this.#string(decision.comm)
    this.#string(decision.abi)
    this.#string(decision.syscall)
    this.#value(decision.values)
    this.#value(decision.registers)
    this.#string(decision.outcome)
    this.#value(decision.strategy)
    this.#value(decision.result)
    this.#value(decision.errno)
    this.#string(decision.reason)
    this.#value(decision.hint)
    this.#value(decision.created)
    return this.#end()
  }

  #begin(kind: number): void {
    if (this.#strings.size >= STRINGS_KNOWN) this.#forget()
    this.#at = LENGTH_BYTES
    this.#bytes[this.#at++] = this.#forgets ? kind | KIND.forgets : kind
  }

  #end(): Uint8Array {
    this.#forgets = false
    this.#view.setUint32(0, this.#at - LENGTH_BYTES)
    return this.#bytes.subarray(0, this.#at)
  }

  #forget(): void {
    this.#strings.clear()
    this.#forgets = true
  }

  #value(value: unknown): void {
    switch (typeof value) {
      case 'number':
        this.#number(value)
        break
      case 'string':
        this.#string(value)
        break
      case 'boolean':
        this.#tag(value ? TAG.true : TAG.false)
        break
      case 'bigint':
        this.#tag(TAG.bigint)
        this.#string(String(value))
        break
      case 'object':
        if (value === null) this.#tag(TAG.null)
        else if (value instanceof Uint8Array) this.#byteString(value)
        else if (Array.isArray(value)) this.#list(value)
        else this.#members(value)
        break
      default:
        this.#tag(TAG.undefined)
    }
  }

  #list(values: readonly unknown[]): void {
    this.#tag(TAG.list)
    this.#length(values.length)
    for (const value of values) this.#value(value)
  }

  #members(value: object): void {
    const names = Object.keys(value)
    this.#tag(TAG.members)
    this.#length(names.length)
    for (const name of names) {
      this.#string(name)
      this.#value((value as Readonly<Record<string, unknown>>)[name])
    }
  }

  #byteString(value: Uint8Array): void {
    this.#tag(TAG.bytes)
    this.#length(value.length)
    this.#reserve(value.length)
    this.#bytes.set(value, this.#at)
    this.#at += value.length
  }

  #number(value: number): void {
    // -0 stays what it is.
    if ((value | 0) === value && (value !== 0 || Object.is(value, 0))) {
      this.#tag(TAG.int32)
      this.#reserve(4)
      this.#view.setInt32(this.#at, value)
      this.#at += 4
    } else {
      this.#tag(TAG.double)
      this.#reserve(8)
      this.#view.setFloat64(this.#at, value)
      this.#at += 8
    }
  }

  #string(value: string): void {
    const known = this.#strings.get(value)
    if (known !== undefined) {
      this.#tag(TAG.known)
      this.#reserve(2)
      this.#view.setUint16(this.#at, known)
      this.#at += 2
      return
    }
    if (value.length <= STRING_KNOWN_MAX) this.#strings.set(value, this.#strings.size)
    this.#characters(value)
  }

  /** One byte for each character where that will do, two where it will not; lone surrogates stay what they are. */
  #characters(value: string): void {
    const {length} = value
    this.#tag(TAG.latin1)
    this.#length(length)
    this.#reserve(length)
    const start = this.#at
    for (let index = 0; index < length; index++) {
      const unit = value.charCodeAt(index)
      if (unit > 0xff) {
        this.#units(value, start)
        return
      }
      this.#bytes[start + index] = unit
    }
    this.#at = start + length
  }

  #units(value: string, start: number): void {
    this.#bytes[start - 5] = TAG.utf16
    this.#at = start
    this.#reserve(value.length * 2)
    for (let index = 0; index < value.length; index++) {
      this.#view.setUint16(this.#at, value.charCodeAt(index), true)
      this.#at += 2
    }
  }

  #length(length: number): void {
    this.#reserve(4)
    this.#view.setUint32(this.#at, length)
    this.#at += 4
  }

  #tag(tag: number): void {
    this.#reserve(1)
    this.#bytes[this.#at++] = tag
  }

  #reserve(length: number): void {
    if (this.#at + length > this.#bytes.length) throw new TooLarge()
  }
}
