// Puts drawn calls to `explain` and to `run`, and says where the two differ.

import assert from 'node:assert/strict'
import {chmodSync, mkdirSync, readFileSync, writeFileSync} from 'node:fs'
import {constants} from 'node:os'
import {join} from 'node:path'
import {fileURLToPath} from 'node:url'

import {interceptorIn} from '../program.js'
import {DIRECTORY, fileOf} from './draw.js'
import type {DrawnCall, DrawnPolicy} from './draw.js'

const PROGRAM = fileURLToPath(new URL('calls.py', import.meta.url))

/** What `explain --json` says of one call. */
interface Explained {
  readonly outcome: 'continued' | 'kernel' | 'performed' | 'refused' | 'unknown'
  readonly by?: 'filter' | 'kernel' | 'policy'
  readonly errno?: number
  readonly reason: string
  readonly filter?: {readonly action: {readonly kind: string; readonly errno?: number}}
}

/** What the caller saw, and the decision in the log, if any. */
interface Ran {
  readonly result: number
  readonly errno: number
  readonly signal: number
  readonly record: {readonly verdict: string; readonly reason: string; readonly errno: string | null} | undefined
}

/** The first is a call that no flag concerns, and that explain has no line for. */
const UNTOUCHED: Explained = {outcome: 'kernel', reason: ''}

const READS_ATTRIBUTES = /^l?(get|list)xattr$/

export interface Comparison {
  /** Lines that tell of a difference; empty where explain and run agree. */
  readonly differences: readonly string[]
  /** Calls whose verdict was compared with the answer. */
  readonly compared: number
  /** Calls of which explain says that it cannot judge them. */
  readonly unknown: number
}

/** `directory`: empty, of this user. Where explain and run end with the same error, no call is compared. */
export function compare(policy: DrawnPolicy, calls: readonly DrawnCall[], directory: string): Comparison {
  prepare(policy, calls, directory)
  const flags = [...policy.flags, ...(policy.file === undefined ? ['--no-config'] : ['--config', 'c.yaml'])]
  const explained = interceptorIn({cwd: directory}, 'explain', ...flags, '--json', '--strace', 'calls.strace')
  const log = ['--log-format', 'json', '--log-file', 'log.json', '--quiet']
  const words = ['python3', '-I', 'calls.py', 'calls.json']
  const ran = interceptorIn({cwd: directory}, 'run', ...flags, ...log, '--', ...words)
  if (explained.status === 2 || ran.status === 125) {
    // Neither can be: with the same error, but for lines about the file that --quiet leaves out.
    const isSame = explained.status === 2 && ran.status === 125 && explained.stderr.endsWith(ran.stderr)
    return {
      differences: isSame ? [] : [`explain: ${explained.stderr}`, `run: ${ran.stderr}`],
      compared: 0,
      unknown: 0,
    }
  }
  assert.equal(ran.status, 0, ran.stderr)
  const verdicts = explanations(explained.stdout)
  const answers = answersIn(ran.stdout, readFileSync(join(directory, 'log.json'), 'utf8'), calls)
  const unknown = [...verdicts.values()].filter(({outcome}) => outcome === 'unknown').length
  const differences = calls.flatMap(({text, name}, index) => {
    const [said, done] = [verdicts.get(index + 1) ?? UNTOUCHED, answers[index]!]
    const cause = difference(name, said, done)
    return cause === undefined ? [] : [`${text}: ${cause}: ${JSON.stringify({said, done})}`]
  })
  return {differences, compared: calls.length - unknown, unknown}
}

function prepare({file}: DrawnPolicy, calls: readonly DrawnCall[], directory: string): void {
  const write = (name: string, data: string): void => {
    writeFileSync(join(directory, name), data)
    chmodSync(join(directory, name), 0o666)
  }
  // Another user of the container makes nodes in it too.
  chmodSync(directory, 0o777)
  mkdirSync(join(directory, DIRECTORY))
  for (const index of calls.keys()) write(fileOf(index), '')
  if (file !== undefined) {
    write('c.yaml', file)
    chmodSync(join(directory, 'c.yaml'), 0o644)
  }
  write('calls.strace', calls.map(({text}) => `${text}\n`).join(''))
  const encoded = calls.map(({number, arguments: given}) => [
    number,
    given.map((each) => (Buffer.isBuffer(each) ? each.toString('base64') : each)),
  ])
  write('calls.json', JSON.stringify(encoded))
  write('calls.py', readFileSync(PROGRAM, 'utf8'))
}

/** By line of the trace. */
function explanations(json: string): ReadonlyMap<number, Explained> {
  const {calls} = JSON.parse(json) as {readonly calls: readonly (Explained & {readonly line: number})[]}
  return new Map(calls.map((each) => [each.line, each]))
}

function answersIn(stdout: string, log: string, calls: readonly DrawnCall[]): readonly Ran[] {
  const answers = JSON.parse(stdout) as readonly (Omit<Ran, 'record'> & {readonly pid: number})[]
  const records = new Map(
    log
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as NonNullable<Ran['record']> & {readonly pid: number; readonly syscall: string})
      .map((record) => [`${record.pid} ${record.syscall}`, record]),
  )
  return answers.map(({pid, ...answer}, index) => ({...answer, record: records.get(`${pid} ${calls[index]!.name}`)}))
}

/** Undefined where what was said is what was done. */
function difference(name: string, said: Explained, {result, errno, signal, record}: Ran): string | undefined {
  const verdict = record?.verdict ?? 'none'
  switch (said.outcome) {
    // Its arguments are read in the container alone, and nothing was said that could be wrong.
    case 'unknown':
      return undefined
    case 'performed':
      // Only the file tells whether it has attributes to be shown; one without is left to the kernel.
      if (READS_ATTRIBUTES.test(name) && verdict === 'none') return undefined
      return verdict === 'emulated' || verdict === 'failed' ? undefined : 'not performed'
    case 'continued':
    case 'kernel':
      return verdict === 'none' || verdict === 'continued' ? undefined : 'not left to the kernel'
    case 'refused':
      break
  }
  if (said.by === 'policy') {
    if (verdict !== 'refused' || record?.reason !== said.reason) return 'not refused by the policy'
    return result === -1 && errno === said.errno ? undefined : 'another errno'
  }
  if (verdict !== 'none') return 'intercepted'
  const kind = said.filter?.action.kind ?? ''
  if (said.by === 'filter' && kind !== 'errno')
    return signal === constants.signals.SIGSYS ? undefined : `not ended by ${kind}`
  // A kernel without the call has an errno of its own.
  const isAbsent = said.by === 'kernel' && errno === constants.errno.ENOSYS
  return result === -1 && (errno === said.errno || isAbsent) ? undefined : 'another errno'
}
