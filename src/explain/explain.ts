// The service behind `interceptor explain`: what is asked for, judged and written. Gives the exit status.

import {createReadStream} from 'node:fs'
import {createInterface} from 'node:readline'

import {UsageError} from '../errors.js'
import type {Composition} from '../intercept/composition.js'
import type {CallerFacts} from '../intercept/family.js'
import type {Program} from '../intercept/filter/bpf.js'
import {cListing, disassemble, hexListing} from '../intercept/filter/disassemble.js'
import {hintText, wordsOf} from '../intercept/hint.js'
import type {Abi} from '../kernel/abi.js'
import {syscallNames} from '../kernel/calls/index.js'
import {toJson} from '../render/json.js'
import {adviseCall} from './advise.js'
import type {Advised, Adviser} from './advise.js'
import {FileJudge} from './files.js'
import type {FileFormat, JudgedCall} from './files.js'
import {overview} from './overview.js'
import {NotationError, parseCall} from './strace-notation.js'
import {callLines, fileLine, fileReportLines, overviewLines, showFlags} from './text.js'

export type FilterForm = 'c' | 'hex' | 'listing' | 'raw'

export interface ExplainRequest {
  /** In strace's notation, one character for each byte. */
  readonly calls: readonly string[]
  readonly filter: FilterForm | undefined
  readonly file: {readonly format: FileFormat; readonly path: string} | undefined
  readonly json: boolean
  readonly abi: Abi
}

export interface ExplainContext {
  readonly adviser: Adviser
  /** Resolves when more may be written. */
  readonly write: (data: Uint8Array | string) => Promise<void>
  /** The nearest right word. */
  readonly nearest: (word: string, candidates: readonly string[]) => string | undefined
}

/** What became of all that was asked for: the worst of it. */
export type Finding =
  /** No call would be refused. */
  | 'good'
  /** At least one would. */
  | 'refused'
  /** None of those that can be judged would, but at least one call or line cannot be judged. */
  | 'unjudged'

export async function explain(request: ExplainRequest, context: ExplainContext): Promise<Finding> {
  const {adviser, write} = context
  const judge = adviser.withFlags([])
  if (judge === undefined) throw new Error('the policy as configured is not valid')
  if (request.filter !== undefined) {
    await write(filterText(judge.composition, request.filter, request.json))
    return 'good'
  }
  if (request.file !== undefined) return explainFile(request, request.file, context)
  if (request.calls.length > 0) return explainCalls(request, context, judge.caller)
  const all = overview(adviser.families, judge.composition)
  await write(request.json ? document({v: 1, ...all}) : lines(overviewLines(all)))
  return 'good'
}

/** Characters that are gathered before they are written. */
const CHUNK = 65_536

const lines = (all: readonly string[]): string => all.map((line) => `${line}\n`).join('')
const document = (value: unknown): string => `${JSON.stringify(toJson(value))}\n`

function filterText({deny, notify}: Composition, form: FilterForm, json: boolean): Uint8Array | string {
  const both: readonly (readonly [string, Program])[] = [
    ['deny', deny],
    ...(notify === undefined ? [] : [['notify', notify] as const]),
  ]
  if (json) return document({v: 1, filters: both.map(([name, {instructions}]) => ({name, instructions}))})
  const one = notify ?? deny
  switch (form) {
    case 'raw':
      return one.bytes
    case 'hex':
      return lines(hexListing(one.instructions))
    case 'c':
      return both.map(([name, {instructions}]) => lines(cListing(instructions, `${name}_filter`))).join('\n')
    case 'listing': {
      const titles: Readonly<Record<string, string>> = {deny: 'always denied', notify: 'handed to the supervisor'}
      const title = (name: string): string => `# ${name} filter: ${titles[name] ?? ''}`
      return both.map(([name, {instructions}]) => lines([title(name), ...disassemble(instructions)])).join('\n')
    }
  }
}

async function explainCalls(
  {calls, abi, json}: ExplainRequest,
  context: ExplainContext,
  caller: CallerFacts,
): Promise<Finding> {
  const judged = calls.map((text) => [text, judgeTyped(text, abi, context)] as const)
  if (json) await context.write(document({v: 1, calls: judged.map(([text, advised]) => asJson(advised, text))}))
  else await context.write(judged.map(([text, advised]) => lines(callLines(advised, text, caller))).join('\n'))
  return judged.some(([, {outcome}]) => outcome === 'refused') ? 'refused' : 'good'
}

function judgeTyped(text: string, abi: Abi, {adviser, nearest}: ExplainContext): Advised {
  try {
    const call = parseCall(text)
    const advised = adviseCall(call, abi, adviser)
    if (advised.number === undefined) {
      const meant = nearest(call.name, syscallNames(abi))
      throw new UsageError(`${abi} has no system call ${call.name}`, {
        hints: meant === undefined ? [] : [`did you mean ${meant}?`],
      })
    }
    if (advised.outcome === 'unknown') throw new UsageError(`cannot judge ${call.name}: ${advised.reason}`)
    return advised
  } catch (error) {
    if (!(error instanceof NotationError)) throw error
    throw new UsageError(`cannot read the call ${JSON.stringify(text)}: ${error.message}`, {
      hints: [`write it as strace does: 'mknod("null", S_IFCHR|0666, makedev(1, 3))'`],
    })
  }
}

function asJson(advised: Advised | JudgedCall, text: string): unknown {
  const {shown, advice, hint, worksNatively: _native, ...rest} = advised
  const told = hint === undefined ? {} : {hint: hintText(hint)}
  return {...rest, ...told, call: shown ?? text, flags: advice.flatMap(wordsOf), command_line: showFlags(advice)}
}

async function explainFile(
  {abi, json}: ExplainRequest,
  {format, path}: {readonly format: FileFormat; readonly path: string},
  {adviser, write}: ExplainContext,
): Promise<Finding> {
  let first = true
  let pending = json ? '{"v":1,"calls":[\n' : ''
  const onCall = (call: JudgedCall): void => {
    if (!json) pending += `${fileLine(call)}\n`
    else pending += `${first ? '' : ',\n'}${JSON.stringify(toJson(asJson(call, call.text)))}`
    first = false
  }
  const judge = new FileJudge({format, native: abi, adviser, onCall})
  try {
    const input = path === '-' ? process.stdin : createReadStream(path)
    input.setEncoding('latin1')
    for await (const line of createInterface({input, crlfDelay: Infinity})) {
      judge.read(line)
      if (pending.length < CHUNK) continue
      await write(pending)
      pending = ''
    }
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error)) throw error
    throw new UsageError(`cannot read ${path}`, {cause: error})
  }
  const report = judge.finish()
  if (judge.isForeign) {
    const what = format === 'log' ? 'no line of a log of interceptor' : 'no call in the notation of strace'
    const other = format === 'log' ? '--strace' : '--log'
    throw new UsageError(`cannot judge ${path}: it holds ${what}`, {
      hints: [`${other} FILE reads ${format === 'log' ? 'what strace printed' : 'a log that run wrote'}`],
    })
  }
  if (json) {
    const refused = report.refused.map((group) => ({...group, advice: group.advice.flatMap(wordsOf)}))
    const {flags, optional} = report
    const summary = {
      ...report,
      refused,
      flags: flags.flatMap(wordsOf),
      command_line: showFlags(flags),
      optional: optional.flatMap(wordsOf),
    }
    pending += `\n],"summary":${JSON.stringify(toJson(summary))}}\n`
  } else pending += lines(fileReportLines(report))
  await write(pending)
  if (report.refused.length > 0) return 'refused'
  return report.unreadable > 0 || (report.counts['unknown'] ?? 0) > 0 ? 'unjudged' : 'good'
}
