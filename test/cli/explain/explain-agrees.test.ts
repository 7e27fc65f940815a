// What `explain` says of a call, and what `run` does with it: calls drawn at random are put to both.

import assert from 'node:assert/strict'
import {readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {interceptorIn} from '../../helpers/program.js'
import {skipUnlessPrivileged, skipUnlessPrograms} from '../../helpers/skip.js'
import {temporaryDirectories} from '../../helpers/temporary.js'

const CALLS = 120
const FLAGS: readonly (readonly string[])[] = [
  ['--mknod'],
  ['--setxattr', '--mknod-allow', 'b:8:0'],
  ['--mknod', '--setxattr-allow', 'trusted.foo', '--sysinfo'],
]
const TYPES = {S_IFCHR: 0o020_000, S_IFBLK: 0o060_000, S_IFIFO: 0o010_000, S_IFREG: 0o100_000} as const
const NAMES = ['trusted.overlay.opaque', 'trusted.foo', 'trusted.overlay.redirect', 'user.a', 'security.capability']
const NUMBERS = {mknodat: 259, setxattr: 188, lsetxattr: 189} as const

interface Drawn {
  /** As strace writes it. */
  readonly text: string
  /** A line of Python that makes it. */
  readonly line: string
}

/** Numbers of a seed (a linear congruential generator), so that a failure can be repeated. */
function generator(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

function draw(next: (below: number) => number, index: number): Drawn {
  const pick = <T>(values: readonly T[]): T => values[next(values.length)]!
  const path = `n${index}.`
  if (next(2) === 0) {
    const [type, bits] = pick(Object.entries(TYPES))
    const permissions = next(0o1000)
    const [major, minor] = [pick([0, 1, 5, 8, 10]), next(9)]
    return {
      text: `mknodat(AT_FDCWD, "${path}", ${type}|0${permissions.toString(8)}, makedev(${major}, ${minor})) = 0`,
      line: `call(${NUMBERS.mknodat}, -100, b"${path}", ${bits | permissions}, os.makedev(${major}, ${minor}))`,
    }
  }
  const name = pick(NAMES)
  const call = pick(['setxattr', 'lsetxattr'] as const)
  const value = pick(['y', 'x', 'longer'])
  return {
    text: `${call}("${path}", "${name}", "${value}", ${value.length}, 0) = 0`,
    // A file that is not there is ENOENT before anybody is asked.
    line: `open("${path}", "w").close(); call(${NUMBERS[call]}, b"${path}", b"${name}", b"${value}", ${value.length}, 0)`,
  }
}

const OTHER = 'no path of ours'

/** Path of the call -> what becomes of it. A call that was performed may still fail. */
type Verdicts = Readonly<Record<string, string>>

function pathOf(values: unknown): string {
  return /n\d+\./.exec(JSON.stringify(values))?.[0] ?? OTHER
}

describe('the verdicts of explain and run', () => {
  skipUnlessPrivileged()
  skipUnlessPrograms('python3')
  const directory = temporaryDirectories()

  for (const flags of FLAGS) {
    it(`are the same with ${flags.join(' ')}`, function () {
      if (process.arch !== 'x64') this.skip()
      const cwd = directory()
      // INTERCEPTOR_SEED draws others.
      const seed = Number(process.env['INTERCEPTOR_SEED'] ?? '20261122') >>> 0
      const next = generator(seed)
      const drawn = Array.from({length: CALLS}, (_, index) => draw(next, index))
      writeFileSync(join(cwd, 'calls.strace'), drawn.map(({text}) => `${text}\n`).join(''))
      writeFileSync(
        join(cwd, 'calls.py'),
        ['import ctypes, os', 'call = ctypes.CDLL(None).syscall', ...drawn.map(({line}) => line), ''].join('\n'),
      )
      assert.deepEqual(performed(cwd, flags), explained(cwd, flags), `seed ${seed}`)
    })
  }

  function explained(cwd: string, flags: readonly string[]): Verdicts {
    const {stdout, stderr} = interceptorIn({cwd}, 'explain', ...flags, '--json', '--strace', 'calls.strace')
    assert.equal(stderr, '')
    const {calls} = JSON.parse(stdout) as {
      calls: readonly {values: unknown; outcome: string; by: string; reason: string}[]
    }
    const decided = calls.filter(({by, outcome}) => by === 'policy' && outcome !== 'continued')
    return Object.fromEntries(
      decided.map(({values, outcome, reason}) => [
        pathOf(values),
        outcome === 'refused' ? `refused: ${reason}` : outcome,
      ]),
    )
  }

  function performed(cwd: string, flags: readonly string[]): Verdicts {
    const log = ['--log-format', 'json', '--quiet', '--log-file', 'log.json']
    const {status, stderr} = interceptorIn({cwd}, 'run', ...flags, ...log, '--', 'python3', 'calls.py')
    assert.equal(status, 0, stderr)
    const records = readFileSync(join(cwd, 'log.json'), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as {args?: unknown; verdict?: string; reason?: string})
    // A performance may fail: most of these attributes are of files that are not there.
    // Python makes calls of its own, sysinfo among them; those name none of our paths.
    const decided = records.filter(
      ({args, verdict}) => verdict !== undefined && verdict !== 'continued' && pathOf(args) !== OTHER,
    )
    assert.ok(decided.length > 0)
    return Object.fromEntries(
      decided.map(({args, verdict, reason}) => [
        pathOf(args),
        verdict === 'refused' ? `refused: ${reason}` : 'performed',
      ]),
    )
  }
})
