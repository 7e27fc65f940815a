// Calls into C that fail one after the other, in the program as it was built: test/fixtures/faults.cjs.

import assert from 'node:assert/strict'
import {randomBytes} from 'node:crypto'
import {once} from 'node:events'
import {closeSync, openSync, readFileSync, readdirSync, rmSync} from 'node:fs'
import {join} from 'node:path'

import {until} from './processes.js'
import {PROJECT, interceptorIn} from './program.js'
import type {Ended} from './program.js'
import {runningContainers} from './running.js'

const PRELOAD = `--require ${join(PROJECT, 'test', 'fixtures', 'faults.cjs')}`
/** What no call into C can be made to fail with: the process itself ends by it. */
const ENDS = '_exit'

export interface Fault {
  readonly number: number
  readonly symbol: string
}

/** Calls of the main thread into C, in their order, in a run of `words`. */
export function callsOf(cwd: string, words: readonly string[]): readonly Fault[] {
  const log = join(cwd, '..', `calls-${randomBytes(4).toString('hex')}`)
  closeSync(openSync(log, 'w'))
  const env = {NODE_OPTIONS: PRELOAD, FAULTS_LOG: log}
  const {status, stderr} = interceptorIn({cwd, env}, ...words)
  assert.equal(status, 0, stderr)
  return readFileSync(log, 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([thread, , symbol]) => thread === 'main' && symbol !== ENDS)
    .map(([, number, symbol = '']) => ({number: Number(number), symbol}))
}

/** One run in which one call of the main thread fails: it does its work, or ends with an error in words. */
export function runWithFault(cwd: string, {number, symbol}: Fault, errno: number, words: readonly string[]): Ended {
  const name = `fault-${randomBytes(4).toString('hex')}`
  const [command = '', ...rest] = words
  const named = command === 'run' ? ['--name', name] : []
  const env = {NODE_OPTIONS: PRELOAD, FAULTS: `main:${number}`, FAULTS_ERRNO: String(errno)}
  const ended = interceptorIn({cwd, env, timeoutMs: 20_000}, command, ...named, ...rest)
  const {status, stderr} = ended
  const what = `${symbol}, call ${number}: ${String(status)}\n${stderr}`
  assert.ok(status === 0 || (status === 125 && /^interceptor: cannot /mu.test(stderr)), what)
  assert.doesNotMatch(stderr, /internal error|^ +at /mu, what)
  assert.deepEqual(cgroupsNamed(name), [], what)
  return ended
}

/** Directories of cgroups of a container, in each hierarchy that is mounted. */
function cgroupsNamed(name: string): readonly string[] {
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n')
  const tops = mounts.map((line) => line.split(' ')).filter(([, , type]) => type === 'cgroup' || type === 'cgroup2')
  return tops.flatMap(([, top = '']) =>
    readdirSync(top)
      .filter((entry) => entry.startsWith(`interceptor-${name}.`))
      .map((entry) => join(top, entry)),
  )
}

interface FaultyCalls {
  readonly flags: readonly string[]
  /** More than calls into C are made for one of them. */
  readonly count: number
  /** Python: `call(i)` raises OSError where the ith call fails; `effect(i)` says whether it was done, and undoes it. */
  readonly call: string
  readonly before?: (cwd: string) => void
  /** Descriptors that stay: those of workers that were started meanwhile, stores, files of /proc. */
  readonly kept?: number
}

/**
 * In a describe callback: a test that makes the same call again and again. Of the Nth notification the Nth call into C
 * fails, so that in the end each has failed. Where that ends the run, which must say why, another one goes on behind it.
 */
export function itFaults(title: string, directory: () => string, calls: FaultyCalls): void {
  const start = runningContainers()
  it(title, async function () {
    this.timeout(120_000)
    const cwd = directory()
    calls.before?.(cwd)
    let failed = 0
    for (let from = 1; from <= calls.count;) {
      const {attempts, ended, written} = await attemptsFrom(from, cwd, calls, start)
      for (const [index, [errno, effect]] of attempts.entries())
        assert.equal(effect, errno === 0, `call into C ${from + index}: errno ${errno}, effect ${String(effect)}`)
      failed += attempts.filter(([errno]) => errno !== 0).length
      assert.doesNotMatch(written, /internal error|^ +at /mu)
      if (ended) assert.match(written, /^interceptor: cannot /mu)
      else assert.equal(attempts.at(-1)?.[0], 0, `each call into C has failed after ${calls.count}`)
      // The one that ended it is passed over.
      from += attempts.length + 1
    }
    assert.ok(failed > 0, 'no call failed')
  })
}

type Attempt = readonly [errno: number, effect: boolean]

async function attemptsFrom(
  from: number,
  cwd: string,
  {flags, count, call, kept = 8}: FaultyCalls,
  start: ReturnType<typeof runningContainers>,
): Promise<{readonly attempts: readonly Attempt[]; readonly ended: boolean; readonly written: string}> {
  rmSync(join(cwd, 'go'), {force: true})
  const script = `
import ctypes, os, time
libc = ctypes.CDLL(None, use_errno=True)
def check(result):
    if result < 0: raise OSError(ctypes.get_errno(), 'call')
${call}
print('ready', flush=True)
while not os.path.exists('go'): time.sleep(0.01)
for i in range(${from}, ${count + 1}):
    try:
        call(i); errno = 0
    except OSError as error:
        errno = error.errno
    # ENOSYS: nobody supervises any more, and the container is about to end.
    if errno == 38: time.sleep(60)
    print('attempt', errno, int(effect(i)), flush=True)
print('done', flush=True)
while True: time.sleep(1)
`
  const env = {NODE_OPTIONS: PRELOAD, FAULTS: `each:${from}`, FAULTS_ERRNO: '5'}
  const words = ['--trace', 'none', ...flags]
  const container = await start(cwd, words, `exec python3 -I -c "$(cat <<'END'\n${script}\nEND\n)"`, env)
  const {supervisor, written} = container
  const before = descriptorsOf(supervisor.pid)
  closeSync(openSync(join(cwd, 'go'), 'w'))
  const hasEnded = () => supervisor.exitCode !== null || supervisor.signalCode !== null
  await until(() => hasEnded() || /^done$/mu.test(written()), `all calls are made:\n${written()}`, 30_000)
  const attempts = [...written().matchAll(/^attempt (\d+) ([01])$/gmu)].map(([, errno, effect]): Attempt => [
    Number(errno),
    effect === '1',
  ])
  const ended = hasEnded()
  if (!ended) {
    const left = () => descriptorsOf(supervisor.pid).length - before.length
    await until(() => left() <= kept, `${left()} descriptors are closed`)
    supervisor.kill('SIGTERM')
    await once(supervisor, 'exit')
  }
  return {attempts, ended, written: written()}
}

function descriptorsOf(pid: number): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`)
  } catch {
    return []
  }
}
