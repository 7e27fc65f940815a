// The other half of decision-encoder.ts: decisions from the bytes that a worker left for the main thread.

import type {Abi} from '../../kernel/abi.js'
import type {CountedDecision, Decision, DecisionBatch, Outcome} from '../decision.js'
import type {ManifestEntry} from '../family.js'
import {KIND, LENGTH_BYTES, STRING_KNOWN_MAX, TAG} from './decision-format.js'

export interface Decoded {
  readonly batch: DecisionBatch
  /** Bytes of whole records. */
  readonly length: number
}

/** One for each writer. */
export class DecisionDecoder {
  readonly #strings: string[] = []
  #bytes: Buffer = Buffer.alloc(0)
  #view: DataView = new DataView(new ArrayBuffer(0))
  #at = 0

  /** Bytes of the record that begins there, with its length. */
  static recordLength(bytes: Buffer): number {
    return LENGTH_BYTES + bytes.readUInt32BE(0)
  }

  /** All whole records. Nothing of `bytes` is kept. */
  decode(bytes: Buffer): Decoded {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    const decisions: (CountedDecision | Decision)[] = []
    const silent: Record<string, number> = {}
    let length = 0
    while (length + LENGTH_BYTES <= bytes.length) {
      const end = length + LENGTH_BYTES + this.#view.getUint32(length)
      if (end > bytes.length) break
      this.#at = length + LENGTH_BYTES
      const kind = bytes[this.#at++]!
      if ((kind & KIND.forgets) !== 0) this.#strings.length = 0
      switch (kind & ~KIND.forgets) {
        case KIND.decision:
          decisions.push(this.#decision())
          break
        case KIND.counted:
          decisions.push(this.#counted())
          break
        default: {
          const name = this.#value() as string
          silent[name] = (silent[name] ?? 0) + (this.#value() as number)
        }
      }
      length = end
    }
    return {batch: {decisions, silent}, length}
  }

  // The casts are the encoder's word. Members are read in the order in which it writes them.

  #decision(): Decision {
    return {
      timeMs: this.#value() as number,
      latencyUs: this.#value() as number,
      pid: this.#value() as number,
      tid: this.#value() as number,
      hostPid: this.#value() as number,
      uid: this.#value() as number,
      gid: this.#value() as number,
      comm: this.#value() as string,
      abi: this.#value() as Abi,
      syscall: this.#value() as string,
      values: this.#value() as Decision['values'],
      registers: this.#value() as Decision['registers'],
      outcome: this.#value() as Outcome,
      strategy: this.#value() as string | null,
      result: this.#value() as number | null,
      errno: this.#value() as number | null,
      reason: this.#value() as string,
      hint: this.#value() as Decision['hint'],
      created: this.#value() as ManifestEntry | undefined,
    }
  }

  #counted(): CountedDecision {
    return {
      latencyUs: this.#value() as number,
      outcome: this.#value() as Outcome,
      syscall: this.#value() as string,
    }
  }

  #value(): unknown {
    const tag = this.#bytes[this.#at++]
    switch (tag) {
      case TAG.null:
        return null
      case TAG.false:
        return false
      case TAG.true:
        return true
      case TAG.int32:
        return this.#view.getInt32(this.#skip(4))
      case TAG.double:
        return this.#view.getFloat64(this.#skip(8))
      case TAG.bigint:
        return BigInt(this.#value() as string)
      case TAG.latin1:
      case TAG.utf16:
        return this.#string(tag)
      case TAG.known:
        return this.#strings[this.#view.getUint16(this.#skip(2))]
      case TAG.bytes: {
        const length = this.#length()
        const start = this.#skip(length)
        const copy = Buffer.allocUnsafe(length)
        this.#bytes.copy(copy, 0, start, start + length)
        return copy
      }
      case TAG.list:
        return Array.from({length: this.#length()}, () => this.#value())
      case TAG.members:
        return this.#members()
      default:
        return undefined
    }
  }

  #string(tag: number): string {
    const length = this.#length()
    const bytes = tag === TAG.latin1 ? length : length * 2
    const start = this.#skip(bytes)
    const text = this.#bytes.toString(tag === TAG.latin1 ? 'latin1' : 'utf16le', start, start + bytes)
    if (length <= STRING_KNOWN_MAX) this.#strings.push(text)
    return text
  }

  #members(): Readonly<Record<string, unknown>> {
    const members: Record<string, unknown> = {}
    for (let left = this.#length(); left > 0; left--) {
      const name = this.#value() as string
      members[name] = this.#value()
    }
    return members
  }

  #length(): number {
    return this.#view.getUint32(this.#skip(4))
  }

  /** Returns where it was. */
  #skip(length: number): number {
    const at = this.#at
    this.#at += length
    return at
  }
}
