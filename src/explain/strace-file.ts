// Reads the output of strace -f line by line: prefixes, resumed calls, changes of ABI.

import type {Abi} from '../kernel/abi.js'
import {NotationError, parseTracedCall} from './strace-notation.js'
import type {ParsedCall} from './strace-notation.js'

export interface TracedCall extends ParsedCall {
  readonly pid: number | undefined
  readonly abi: Abi
  /** The call as the file has it, without prefixes. Of a resumed one both parts. */
  readonly text: string
  /** Line of the file on which the call ends, from 1. */
  readonly line: number
}

/**
 * In this order: [pid 12], [pid 12<comm>] or 12; a time (-t, -tt, -ttt) or a distance (-r, or both); [number of the
 * call] (-n) and [instruction pointer] (-i).
 */
const PREFIX =
  /^(?:strace: )?(?:\[pid\s+(\d+)(?:<[^>]*>)?\]\s+|(\d+)(?:<[^>]*>)?\s+(?=\S))?(?:\d\d:\d\d:\d\d(?:\.\d+)?\s+|\s*\d+\.\d+\s+)?(?:\(\+\s*\d+\.\d+\)\s+)?(?:\[\s*[0-9a-f?]+\]\s+)*/
const PERSONALITY = /\[ Process PID=(\d+) runs in (32 bit|x32|64 bit) mode\. \]/
const UNFINISHED = /\s*<unfinished \.\.\.>\s*$/
const RESUMED = /^<\.\.\. (\w+) resumed>\s?/

/** Calls that begin on one line and never end would gather otherwise. */
const PENDING_MAX = 4096

export class StraceReader {
  readonly #pending = new Map<string, string>()
  readonly #abis = new Map<number | undefined, Abi>()
  readonly #native: Abi
  #line = 0
  /** Lines that look like a call and could not be read. */
  unreadable = 0

  constructor(native: Abi) {
    this.#native = native
  }

  /** Takes the next line, without its newline; one character for each byte. */
  read(line: string): TracedCall | undefined {
    this.#line++
    if (this.#personality(line)) return undefined
    const [prefix = '', bracketed, plain] = PREFIX.exec(line) ?? []
    const digits = bracketed ?? plain
    const pid = digits === undefined ? undefined : Number(digits)
    const rest = line.slice(prefix.length)
    if (rest.startsWith('+++ ')) {
      this.#abis.delete(pid)
      return undefined
    }

    const resumed = RESUMED.exec(rest)
    if (resumed !== null) {
      const key = `${pid ?? ''} ${resumed[1] ?? ''}`
      const beginning = this.#pending.get(key)
      this.#pending.delete(key)
      if (beginning === undefined) return undefined
      return this.#call(pid, beginning + rest.slice(resumed[0].length))
    }
    const name = /^[a-z_]\w*(?=\()/i.exec(rest)?.[0]
    if (name === undefined) return undefined
    const beginning = rest.replace(UNFINISHED, '')
    if (beginning.length === rest.length) return this.#call(pid, rest)
    if (this.#pending.size < PENDING_MAX) this.#pending.set(`${pid ?? ''} ${name}`, beginning)
    return undefined
  }

  /** Calls that had begun when the file ended: their threads were killed in them, or strace was. */
  finish(): TracedCall[] {
    const calls = [...this.#pending].flatMap(([key, text]) => {
      const digits = key.slice(0, key.indexOf(' '))
      const call = this.#call(digits === '' ? undefined : Number(digits), `${text.replace(/,\s*$/, '')})`)
      return call === undefined ? [] : [call]
    })
    this.#pending.clear()
    return calls
  }

  #call(pid: number | undefined, text: string): TracedCall | undefined {
    try {
      const call = parseTracedCall(text)
      return {...call, pid, abi: this.#abis.get(pid) ?? this.#native, text, line: this.#line}
    } catch (error) {
      if (!(error instanceof NotationError)) throw error
      this.unreadable++
      return undefined
    }
  }

  #personality(line: string): boolean {
    const match = PERSONALITY.exec(line)
    if (match === null) return false
    const compat: Abi = this.#native === 'aarch64' ? 'arm' : 'i386'
    const abi = match[2] === '64 bit' ? this.#native : match[2] === 'x32' ? 'x32' : compat
    this.#abis.set(Number(match[1]), abi)
    // A single process has no pid in front of its lines.
    if (!/^(?:strace: )?\[pid\s/.test(line)) this.#abis.set(undefined, abi)
    return true
  }
}
