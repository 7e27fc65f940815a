// Judges every call of a trace or a log: what would be refused, and the fewest flags that would allow it.

import type {Arguments} from '../intercept/family.js'
import {isFlagHint, wordsOf} from '../intercept/hint.js'
import type {FlagHint} from '../intercept/hint.js'
import type {Abi} from '../kernel/abi.js'
import {adviseCall, fewestFlags} from './advise.js'
import type {Advised, Adviser, Need} from './advise.js'
import {readLogLine} from './log-file.js'
import type {Logged} from './log-file.js'
import {StraceReader} from './strace-file.js'
import type {ParsedCall} from './strace-notation.js'

export interface JudgedCall extends Advised {
  readonly line: number
  readonly pid: number | undefined
  /** As the file has it, or as the log shows it; one character for each byte. */
  readonly text: string
}

export interface RefusedGroup {
  readonly syscall: string
  readonly reason: string
  readonly errno: number | undefined
  readonly calls: number
  readonly example: string
  readonly advice: readonly FlagHint[]
}

export interface FileReport {
  /** Calls that are for the kernel alone, whatever the flags. */
  readonly untouched: number
  readonly counts: Readonly<Record<string, number>>
  readonly refused: readonly RefusedGroup[]
  /** The fewest flags, added to those given, with which `allowed` of the refused calls are performed. */
  readonly flags: readonly FlagHint[]
  readonly allowed: number
  /** Flags with which calls would be performed that the kernel answers in a container too, if otherwise. */
  readonly optional: readonly FlagHint[]
  readonly unreadable: number
}

/** Distinct calls that are remembered, so that a trace of millions of lines needs bounded memory. */
const REMEMBERED_MAX = 20_000

/** Calls of each group that are judged again to find the fewest flags. */
const JUDGED_AGAIN = 4

export type FileFormat = 'log' | 'strace'

export interface FileJudgeOptions {
  readonly format: FileFormat
  readonly native: Abi
  readonly adviser: Adviser
  readonly onCall: (call: JudgedCall) => void
}

export class FileJudge {
  readonly #options: FileJudgeOptions
  readonly #strace: StraceReader
  readonly #interesting: ReadonlySet<string>
  readonly #declared: ReadonlyMap<string, Arguments>
  readonly #known = new Map<string, Advised>()
  readonly #groups = new Map<string, RefusedGroup>()
  readonly #needs = new Map<string, Need>()
  readonly #counts = new Map<string, number>()
  readonly #optional = new Map<string, FlagHint>()
  #line = 0
  #untouched = 0
  #isKnown = false
  #unreadable = 0

  constructor(options: FileJudgeOptions) {
    this.#options = options
    this.#strace = new StraceReader(options.native)
    this.#declared = declaredCalls(options.adviser)
    this.#interesting = new Set([
      ...(options.adviser.withFlags([])?.composition.denied ?? []),
      ...this.#declared.keys(),
    ])
  }

  read(line: string): void {
    this.#line++
    if (this.#options.format === 'strace') {
      const call = this.#strace.read(line)
      if (call !== undefined) this.#take(call, call.abi, call.pid, call.text)
      return
    }
    if (line.trim() === '') return
    // A log may hold no call at all, but its other lines are known too.
    this.#isKnown ||= /^(interceptor: |\{"v":1,)/.test(line)
    const logged = readLogLine(line, this.#options.native, (name) => this.#declared.get(name))
    if (logged !== undefined) this.#take(logged.call, logged.abi, logged.pid, logged.text, logged.logged)
    else if (/^\{.*"syscall"/.test(line)) this.#unreadable++
  }

  /** Not empty, and no line of it is what it should be. */
  get isForeign(): boolean {
    const judged = this.#untouched + this.#unreadable + this.#strace.unreadable + this.#counts.size
    return this.#line > 0 && judged === 0 && !this.#isKnown
  }

  finish(): FileReport {
    for (const call of this.#strace.finish()) this.#take(call, call.abi, call.pid, call.text)
    const needs = [...this.#needs.values()]
    const flags = fewestFlags(needs, this.#options.adviser)
    const needed = new Set(flags.map(({flag}) => flag))
    return {
      untouched: this.#untouched,
      counts: Object.fromEntries([...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1))),
      refused: [...this.#groups.values()].sort((a, b) => b.calls - a.calls),
      flags,
      allowed: [...this.#groups.values()].reduce((sum, {advice, calls}) => sum + (advice.length > 0 ? calls : 0), 0),
      optional: [...this.#optional.values()].filter(({flag}) => !needed.has(flag)),
      unreadable: this.#unreadable + this.#strace.unreadable,
    }
  }

  #take(call: ParsedCall, abi: Abi, pid: number | undefined, text: string | undefined, logged?: Logged): void {
    if (!this.#interesting.has(call.name) && logged === undefined) {
      this.#untouched++
      return
    }
    const key = JSON.stringify([abi, call.name, call.arguments], (_, value: unknown) =>
      typeof value === 'bigint' ? `${value}n` : value,
    )
    let judged = this.#known.get(key)
    if (judged === undefined || judged.outcome === 'unknown') {
      judged = adviseCall(call, abi, this.#options.adviser)
      if (judged.outcome === 'unknown' && logged !== undefined) judged = asLogged(judged, logged)
      if (this.#known.size < REMEMBERED_MAX) this.#known.set(key, judged)
    }
    if (judged.outcome === 'kernel' && judged.advice.length === 0) {
      this.#untouched++
      return
    }
    this.#counts.set(judged.outcome, (this.#counts.get(judged.outcome) ?? 0) + 1)
    if (judged.outcome === 'kernel' && this.#optional.size < REMEMBERED_MAX)
      for (const flag of judged.advice) this.#optional.set(wordsOf(flag).join(' '), flag)
    const shown = (logged === undefined ? text : (judged.shown ?? text)) ?? `${call.name}(...)`
    if (judged.outcome === 'refused') this.#refuse(key, judged, {call, abi, advice: judged.advice}, shown)
    this.#options.onCall({...judged, line: this.#line, pid, text: shown})
  }

  #refuse(key: string, judged: Advised, need: Need, example: string): void {
    const {syscall, reason, errno, advice} = judged
    const group = `${syscall} ${reason} ${advice.flatMap(wordsOf).join(' ')}`
    const known = this.#groups.get(group)
    if (known === undefined && this.#groups.size >= REMEMBERED_MAX) return
    const calls = (known?.calls ?? 0) + 1
    this.#groups.set(group, {example, ...known, syscall, reason, errno, advice, calls})
    // Calls of one group differ in what the policy does not ask: a few of them stand for all.
    if (calls <= JUDGED_AGAIN) this.#needs.set(key, need)
  }
}

/** Every call that some flag would intercept. With the deny filter's only these are worth judging. */
function declaredCalls({families, withFlags}: Adviser): ReadonlyMap<string, Arguments> {
  const declared = new Map<string, Arguments>()
  for (const {flag} of families) {
    const judge = withFlags([{flag}]) ?? withFlags([{flag, value: 'NAME'}])
    for (const [name, {call}] of judge?.composition.calls ?? []) declared.set(name, call.arguments as Arguments)
  }
  return declared
}

/** A call that can't be read back: what the log says of it counts. */
function asLogged(judged: Advised, {verdict, reason, hint}: Logged): Advised {
  const refused = verdict === 'refused'
  return {
    ...judged,
    outcome: refused ? 'refused' : verdict === 'continued' ? 'continued' : 'performed',
    by: 'policy',
    reason,
    hint,
    advice: refused && hint !== undefined && isFlagHint(hint) ? [hint] : [],
  }
}
