// Programs that race against the supervisor, native/test/hostile: one after the other, for as long as asked.

import assert from 'node:assert/strict'
import {mkdirSync, readFileSync} from 'node:fs'
import {join} from 'node:path'

import {buildTestProgram} from './intercepted.js'
import {interceptorIn} from './program.js'

/** A program and its words after the seconds. */
export type Race = readonly [program: string, ...words: string[]]

export interface Races {
  /** `{cwd}` in flags, words and `before` is the container's directory; {...} is also what `names` has. */
  readonly flags: readonly string[]
  readonly races: readonly Race[]
  /** For sh, before the first. */
  readonly before?: string
}

const SECONDS = 1.5
/** To begin and to end, of the container and of each program. */
const MORE_SECONDS = 10
let total = 0

/** The same program for each family in each way. */
export function each(program: string, families: readonly string[], ways: readonly string[], ...rest: string[]): Race[] {
  return families.flatMap((family) => ways.map((way): Race => [program, family, way, ...rest]))
}

/**
 * In a describe callback: a test that runs `races` in one container below `top()`. Each reports what it found, and must
 * have had an effect; nothing may have been an error of ours.
 */
export function itRaces(title: string, top: () => string, races: Races, names: () => Record<string, string>): void {
  total += races.races.length
  it(title, function () {
    const seconds = secondsOfEach()
    this.timeout((races.races.length + 1) * (seconds + MORE_SECONDS) * 1000)
    runAll(top(), races, seconds, names())
  })
}

/** HOSTILE_MINUTES are for all races of the run. */
function secondsOfEach(): number {
  return Math.max(SECONDS, (Number(process.env['HOSTILE_MINUTES'] ?? 0) * 60) / total)
}

function runAll(
  top: string,
  {flags, races, before = ':'}: Races,
  seconds: number,
  names: Record<string, string>,
): void {
  const [cwd, log] = [join(top, 'work'), join(top, 'log')]
  mkdirSync(cwd, {recursive: true})
  for (const [program] of races) buildTestProgram(`hostile/${program}`, cwd)
  const lines = races.map(([program, ...words], index) => {
    const line = [`../${program}`, seconds, ...words].join(' ')
    return `mkdir ${index} && cd ${index} && echo '${[program, ...words].join(' ')}:' && ${line}; cd '{cwd}'; rm -rf ${index}`
  })
  const known = {...names, cwd}
  const script = named([before, ...lines].join('\n'), known)
  const words = ['run', '--trace', 'refused', '--log-file', log, ...flags.map((flag) => named(flag, known))]
  const timeoutMs = Math.ceil((races.length + 1) * (seconds + MORE_SECONDS) * 1000)
  const {status, stdout, stderr} = interceptorIn({cwd, timeoutMs}, ...words, '--', 'sh', '-c', script)
  const ends = [...stdout.matchAll(/^\d+ rounds, (\d+) effects$/gmu)]
  assert.doesNotMatch(stdout, /^fault/mu, stdout)
  assert.equal(ends.length, races.length, stdout + stderr)
  for (const [end, effects] of ends) assert.notEqual(effects, '0', `${end}:\n${stdout}`)
  assert.equal(status, 0, stderr)
  assert.doesNotMatch(readFileSync(log, 'utf8'), /internal error.*/u)
}

function named(text: string, names: Record<string, string>): string {
  return text.replaceAll(/\{(\w+)\}/gu, (whole, name: string) => names[name] ?? whole)
}
