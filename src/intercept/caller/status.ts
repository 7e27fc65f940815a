// What /proc/TID/status says of a thread. Pure: proc_pid_status(5) as bytes in, numbers out.

import {BACKSLASH, NEWLINE, ZERO} from '../../kernel/constants.js'

/** Columns of the pid lines are pid namespaces, from the reader's own downwards. */
export interface ThreadStatus {
  readonly comm: string
  readonly tgid: number
  readonly namespaceTids: readonly number[]
  readonly namespaceTgids: readonly number[]
  readonly uid: number
  readonly gid: number
  readonly fsuid: number
  readonly fsgid: number
  readonly groups: Uint32Array
  readonly umask: number
  readonly effective: bigint
}

/** A status with what it was made of: bytes that are the same there say the same. */
export interface LocatedStatus {
  readonly status: ThreadStatus
  /** All before `headEnd`, and the line of capabilities: whole lines, each with its newline. */
  readonly headEnd: number
  readonly effectiveStart: number
  readonly effectiveEnd: number
}

const NAME = Buffer.from('Name:\t')
// With the newline before them. The kernel escapes newlines in the name, so that lines can't be forged.
const UMASK = Buffer.from('\nUmask:\t')
const TGID = Buffer.from('\nTgid:\t')
const UIDS = Buffer.from('\nUid:\t')
const GIDS = Buffer.from('\nGid:\t')
const GROUPS = Buffer.from('\nGroups:\t')
const NS_TGIDS = Buffer.from('\nNStgid:\t')
const NS_TIDS = Buffer.from('\nNSpid:\t')
const EFFECTIVE = Buffer.from('\nCapEff:\t')

/** undefined where a line is missing, as for a thread that is going away. */
export function parseStatus(bytes: Buffer): ThreadStatus | undefined {
  return locateStatus(bytes, bytes.length)?.status
}

/** The same for the first `length` bytes. The lines come in the order in which proc_pid_status() writes them. */
export function locateStatus(bytes: Buffer, length: number): LocatedStatus | undefined {
  if (length < NAME.length || !holds(bytes, 0, NAME)) return undefined
  const nameEnd = endOfLine(bytes, 0, length)
  const umask = after(bytes, UMASK, nameEnd, length)
  const tgid = after(bytes, TGID, umask, length)
  const uids = after(bytes, UIDS, tgid, length)
  const gids = after(bytes, GIDS, uids, length)
  const groups = after(bytes, GROUPS, gids, length)
  // Both are missing where the kernel has no pid namespaces.
  const namespaceTgids = after(bytes, NS_TGIDS, groups, length)
  const namespaceTids = after(bytes, NS_TIDS, namespaceTgids === -1 ? groups : namespaceTgids, length)
  const headEnd = endOfLine(bytes, Math.max(groups, namespaceTids), length)
  const effective = after(bytes, EFFECTIVE, groups === -1 ? -1 : headEnd, length)
  if (effective === -1) return undefined
  const [, uid, , fsuid] = numbers(bytes, uids, length)
  const [, gid, , fsgid] = numbers(bytes, gids, length)
  if (uid === undefined || gid === undefined || fsuid === undefined || fsgid === undefined) return undefined
  const effectiveEnd = endOfLine(bytes, effective, length)
  const status = {
    comm: unescapeName(bytes, nameEnd),
    tgid: numbers(bytes, tgid, length)[0] ?? NaN,
    namespaceTids: numbers(bytes, namespaceTids, length),
    namespaceTgids: numbers(bytes, namespaceTgids, length),
    uid,
    gid,
    fsuid,
    fsgid,
    groups: Uint32Array.from(numbers(bytes, groups, length)),
    umask: Number.parseInt(bytes.toString('latin1', umask, endOfLine(bytes, umask, length)), 8),
    effective: BigInt(`0x${bytes.toString('latin1', effective, effectiveEnd)}`),
  }
  return {
    status,
    headEnd: headEnd + 1,
    effectiveStart: effective - EFFECTIVE.length,
    effectiveEnd: effectiveEnd + 1,
  }
}

/** Where the value of the first line with that label behind `start` begins; -1 where there is none, or no `start`. */
function after(bytes: Buffer, label: Buffer, start: number, length: number): number {
  if (start === -1) return -1
  for (let at = endOfLine(bytes, start, length); at < length; at = endOfLine(bytes, at + 1, length)) {
    if (holds(bytes, at, label)) return at + label.length
  }
  return -1
}

function holds(bytes: Buffer, at: number, label: Buffer): boolean {
  for (let index = 0; index < label.length; index++) if (bytes[at + index] !== label[index]) return false
  return true
}

/** The newline at `start` or behind it, or the end. */
function endOfLine(bytes: Buffer, start: number, length: number): number {
  let at = Math.max(0, start)
  while (at < length && bytes[at] !== NEWLINE) at++
  return at
}

/** The numbers from `start` to the end of the line, between tabs or blanks; none for -1. */
function numbers(bytes: Buffer, start: number, length: number): number[] {
  const found: number[] = []
  if (start === -1) return found
  let value = -1
  for (let at = start; at <= length; at++) {
    const digit = at < length ? bytes[at]! - ZERO : -1
    if (digit >= 0 && digit <= 9) {
      value = (value === -1 ? 0 : value * 10) + digit
      continue
    }
    if (value !== -1) found.push(value)
    value = -1
    if (bytes[at] === NEWLINE) break
  }
  return found
}

/** proc_task_name() escapes newline and backslash alone (string_escape_str with ESCAPE_SPACE | ESCAPE_SPECIAL). */
function unescapeName(bytes: Buffer, end: number): string {
  const name: number[] = []
  for (let at = NAME.length; at < end; at++) {
    const next = bytes[at + 1]
    const isEscape = bytes[at] === BACKSLASH && at + 1 < end && (next === 0x6e || next === BACKSLASH)
    if (isEscape) at++
    name.push(!isEscape ? bytes[at]! : next === 0x6e ? NEWLINE : BACKSLASH)
  }
  return Buffer.from(name).toString('utf8')
}
