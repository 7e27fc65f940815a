// Reads our own decision log, JSON lines or text, back into calls that can be judged again.

import {isSystemError} from '../ffi/errors.js'
import type {Argument, Arguments, Json} from '../intercept/family.js'
import {readHint} from '../intercept/hint.js'
import type {Hint} from '../intercept/hint.js'
import {ABIS} from '../kernel/abi.js'
import type {Abi} from '../kernel/abi.js'
import {UnknownArgument, imagine} from './registers.js'
import {NotationError, parseCall, parseTracedCall} from './strace-notation.js'
import type {ParsedCall, Value} from './strace-notation.js'

/** What the log itself says of the call; it counts where the call can't be judged again. */
export interface Logged {
  readonly verdict: string
  readonly errno: string | undefined
  readonly reason: string
  readonly hint: Hint | undefined
}

export interface LoggedCall {
  readonly call: ParsedCall
  readonly abi: Abi
  readonly pid: number | undefined
  /** In the notation of the trace; one character for each byte. */
  readonly text: string | undefined
  readonly logged: Logged
}

type Record_ = Readonly<Record<string, unknown>>

/** Undefined for lines that record no call: start, exit, notes, and what others wrote into the same file. */
export function readLogLine(
  line: string,
  native: Abi,
  describe: (syscall: string) => Arguments | undefined,
): LoggedCall | undefined {
  const text = line.trimEnd()
  return text.startsWith('{') ? readJson(text, native, describe) : readText(text, native)
}

const TEXT =
  /^interceptor: \[(\d+) [^\]]*\] (.*) = (\?|-?\d+)(?: (E\w+))? {2}(continued|emulated|failed|refused)(?: \([^)]*\))?: (.*)$/

/** A reason, and the hint behind it. Where that names no flag, nothing tells where it begins. */
const WHY = /^(.*?); (--\S.* would allow it)$/

function readText(text: string, native: Abi): LoggedCall | undefined {
  const match = TEXT.exec(text)
  if (match === null) return undefined
  const [, pid, notation = '', , errno, verdict = '', why = ''] = match
  try {
    const call = parseTracedCall(notation)
    const [, reason = why, hint] = WHY.exec(why) ?? []
    const logged = {verdict, errno, reason, hint: hint === undefined ? undefined : readHint(hint)}
    return {call, abi: native, pid: Number(pid), text: notation, logged}
  } catch (error) {
    if (error instanceof NotationError) return undefined
    throw error
  }
}

function readJson(
  text: string,
  native: Abi,
  describe: (syscall: string) => Arguments | undefined,
): LoggedCall | undefined {
  // The file was read byte by byte; JSON is UTF-8.
  const record = parseObject(Buffer.from(text, 'latin1').toString('utf8'))
  if (record === undefined) return undefined
  const {syscall, verdict, args, arch, pid} = record
  if (record['v'] !== 1 || typeof syscall !== 'string' || typeof verdict !== 'string') return undefined
  const abi = typeof arch === 'string' && arch in ABIS ? (arch as Abi) : native
  const declared = describe(syscall)
  const values = declared !== undefined && isObject(args) ? valuesOf(syscall, args, declared, abi) : rawValues(record)
  const word = (name: string): string | undefined => {
    const value = record[name]
    return typeof value === 'string' ? value : undefined
  }
  const hint = word('hint')
  const call = {name: syscall, arguments: values, result: undefined}
  return {
    call,
    abi,
    text: declared && showCall(call, declared, abi),
    pid: typeof pid === 'number' ? pid : undefined,
    logged: {
      verdict,
      errno: word('errno'),
      reason: word('reason') ?? '',
      hint: hint === undefined ? undefined : readHint(hint),
    },
  }
}

function parseObject(text: string): Record_ | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isObject(value: unknown): value is Record_ {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function rawValues({registers}: Record_): Value[] {
  if (!Array.isArray(registers)) return []
  return registers.map((register: unknown): Value =>
    typeof register === 'string' && /^0x[0-9a-f]{1,16}$/.test(register)
      ? {kind: 'number', value: BigInt(register)}
      : UNKNOWN,
  )
}

const UNKNOWN: Value = {kind: 'opaque', text: '?'}
const number = (value: bigint | number): Value => ({kind: 'number', value: BigInt(value)})

/** What a declared argument may have been, judged by its JSON alone. */
function candidates(json: unknown): Value[] {
  if (json === null) return [number(0)]
  if (typeof json === 'number') return Number.isSafeInteger(json) ? [number(json)] : []
  if (typeof json === 'boolean') return [number(json ? 1 : 0)]
  if (typeof json === 'string') return [string(Buffer.from(json)), ...expression(json)]
  if (!isObject(json)) return []
  if (typeof json['base64'] === 'string') return [string(Buffer.from(json['base64'], 'base64'))]
  const [major, minor] = [json['major'], json['minor']]
  if (typeof major !== 'number' || typeof minor !== 'number') return []
  return [{kind: 'call', name: 'makedev', arguments: [number(major), number(minor)]}]
}

const string = (bytes: Buffer): Value => ({kind: 'string', bytes, truncated: false})

/** `0x7ffe12340000`, `NULL` or `MS_BIND|MS_REC`, where a kind of argument writes that in JSON. */
function expression(text: string): readonly Value[] {
  try {
    return parseCall(`f(${text})`).arguments
  } catch {
    return []
  }
}

/** Takes for each argument the candidate that reads as the log says, by the declaration itself. */
function valuesOf(syscall: string, args: Record_, declared: Arguments, abi: Abi): Value[] {
  const entries = Object.entries(declared)
  const values: Value[] = Array.from({length: 6}, () => number(0))
  const choices = entries.map(([name, argument]) => ({argument, json: args[name], options: candidates(args[name])}))
  for (const {argument, options} of choices) values[argument.index] = options[0] ?? UNKNOWN
  for (const {argument, json, options} of choices) {
    const right = options.find((option) => {
      const tried = values.with(argument.index, option)
      return readsAs(syscall, tried, argument, json, abi)
    })
    values[argument.index] = right ?? UNKNOWN
  }
  return values
}

/** As run shows it, with a question mark for what the log does not tell. */
function showCall(call: ParsedCall, declared: Arguments, abi: Abi): string {
  const {registers, memory} = imagine(call, abi, declared)
  const read: Record<string, unknown> = {}
  const shown = Object.entries(declared as Readonly<Record<string, Argument<unknown>>>).map(([name, argument]) => {
    try {
      return argument.show((read[name] = argument.read(registers, memory, abi)), read)
    } catch (error) {
      if (error instanceof UnknownArgument || isSystemError(error)) return '?'
      throw error
    }
  })
  return `${call.name}(${shown.join(', ')})`
}

function readsAs(syscall: string, values: Value[], argument: Argument<unknown>, json: unknown, abi: Abi): boolean {
  const {registers, memory} = imagine({name: syscall, arguments: values, result: undefined}, abi, {argument})
  try {
    const again: Json = argument.json(argument.read(registers, memory, abi))
    return JSON.stringify(again) === JSON.stringify(json)
  } catch (error) {
    if (error instanceof UnknownArgument || isSystemError(error)) return false
    throw error
  }
}
