// The service behind `interceptor explain`: what is asked for, judged and written. Gives the exit status.

import {createReadStream} from 'node:fs'
import {createInterface} from 'node:readline'
import {UsageError} from '../errors.js'
import {cListing, disassemble, hexListing} from '../intercept/disassemble.js'
import type {Policy} from '../intercept/policy.js'
import type {Abi, FamilyOptions} from '../intercept/syscall.js'
import type {Program} from '../intercept/bpf.js'
import {syscallNames} from '../intercept/tables/index.js'
import {toJson} from '../render/json.js'
import {adviseCall} from './advise.js'
import type {Advised, Adviser} from './advise.js'
import {FileJudge} from './files.js'
import type {FileFormat, JudgedCall} from './files.js'
import type {Judge} from './judge.js'
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
  readonly policy: Policy
  readonly adviser: Adviser
  readonly options: FamilyOptions
  readonly write: (data: Uint8Array | string) => void
  /** The nearest right word. */
  readonly nearest: (word: string, candidates: readonly string[]) => string | undefined
}

/** true: nothing that was asked for would be refused. */
export async function explain(request: ExplainRequest, context: ExplainContext): Promise<boolean> {
  const {adviser, write} = context
  const judge = adviser.withFlags([])
  if (judge === undefined) throw new Error('the policy as configured is not valid')
  if (request.filter !== undefined) return writeFilter(judge, request.filter, request.json, write)
  if (request.file !== undefined) return explainFile(request, request.file, context)
  if (request.calls.length > 0) return explainCalls(request, context)
  const all = overview(adviser.families, context.policy, judge, context.options)
  write(request.json ? document({v: 1, ...all}) : lines(overviewLines(all)))
  return true
}

const lines = (all: readonly string[]): string => all.map((line) => `${line}\n`).join('')
const document = (value: unknown): string => `${JSON.stringify(toJson(value))}\n`

function writeFilter(judge: Judge, form: FilterForm, json: boolean, write: ExplainContext['write']): true {
  const {deny, notify} = judge
  const both: readonly (readonly [string, Program])[] = [
    ['deny', deny],
    ...(notify === undefined ? [] : [['notify', notify] as const]),
  ]
  const one = notify ?? deny
  if (json) write(document({v: 1, filters: both.map(([name, {instructions}]) => ({name, instructions}))}))
  else if (form === 'raw') write(one.bytes)
  else if (form === 'hex') write(lines(hexListing(one.instructions)))
  else if (form === 'c')
    write(both.map(([name, {instructions}]) => lines(cListing(instructions, `${name}_filter`))).join('\n'))
  else {
    const titles: Readonly<Record<string, string>> = {deny: 'always denied', notify: 'handed to the supervisor'}
    write(
      both
        .map(([name, {instructions}]) =>
          lines([`# ${name} filter: ${titles[name] ?? ''}`, ...disassemble(instructions)]),
        )
        .join('\n'),
    )
  }
  return true
}

function explainCalls({calls, abi, json}: ExplainRequest, context: ExplainContext): boolean {
  const judged = calls.map((text) => [text, judgeTyped(text, abi, context)] as const)
  if (json) context.write(document({v: 1, calls: judged.map(([text, advised]) => asJson(advised, text))}))
  else context.write(judged.map(([text, advised]) => lines(callLines(advised, text))).join('\n'))
  return judged.every(([, {outcome}]) => outcome !== 'refused')
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
  const {shown, advice, ...rest} = advised
  return {...rest, call: shown ?? text, flags: advice.flat(), command_line: showFlags(advice)}
}

async function explainFile(
  {abi, json}: ExplainRequest,
  {format, path}: {readonly format: FileFormat; readonly path: string},
  {adviser, write}: ExplainContext,
): Promise<boolean> {
  let first = true
  const onCall = (call: JudgedCall): void => {
    if (!json) write(`${fileLine(call)}\n`)
    else write(`${first ? '' : ',\n'}${JSON.stringify(toJson(asJson(call, call.text)))}`)
    first = false
  }
  const judge = new FileJudge({format, native: abi, adviser, onCall})
  if (json) write('{"v":1,"calls":[\n')
  try {
    const input = path === '-' ? process.stdin : createReadStream(path)
    input.setEncoding('latin1')
    for await (const line of createInterface({input, crlfDelay: Infinity})) judge.read(line)
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error)) throw error
    throw new UsageError(`cannot read ${path}`, {cause: error})
  }
  const report = judge.finish()
  if (json) {
    const refused = report.refused.map((group) => ({...group, advice: group.advice.flat()}))
    const summary = {...report, refused, flags: report.flags.flat(), command_line: showFlags(report.flags)}
    write(`\n],"summary":${JSON.stringify(toJson(summary))}}\n`)
  } else write(lines(fileReportLines(report)))
  return report.refused.length === 0
}
