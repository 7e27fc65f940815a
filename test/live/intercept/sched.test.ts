// Scheduling policies in real containers, against what the kernel answers to root outside.

import assert from 'node:assert/strict'
import {spawn} from 'node:child_process'
import type {ChildProcess} from 'node:child_process'
import {chmodSync, existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import type {ContainerCgroup} from '../../../src/container/cgroup/index.js'
import {close} from '../../../src/ffi/libc.js'
import {openPidNamespace, openTask} from '../../../src/ffi/scheduler.js'
import type {Abi} from '../../../src/kernel/abi.js'
import {findInProc, translatePid} from '../../../src/intercept/families/sched/target-task.js'
import {buildTestProgram, runIntercepted} from '../../helpers/intercepted.js'
import {until} from '../../helpers/processes.js'
import {CALLABLE_ABIS, inContainer, itOnEachAbi, outside, paired, word} from '../../helpers/raw-calls.js'
import {skipUnless, skipUnlessPrivileged, skipUnlessPrograms} from '../../helpers/skip.js'
import {temporaryDirectories} from '../../helpers/temporary.js'

const [EPERM, ESRCH] = [-1, -3]
const [FIFO, RR, BATCH, IDLE, DEADLINE] = [1, 2, 3, 5, 6]
const RESET_ON_FORK = 0x4000_0000
const CAP_SYS_NICE = 23
const CLONE_NEWUSER = 0x1000_0000
const CLONE_NEWPID = 0x2000_0000
const BAD = 8
const ABI = CALLABLE_ABIS[0]!
const ALL = {sched: {maxPriority: 99, deadline: true}}

type Value = bigint | number | string

const setscheduler = (abi: Abi, pid: Value, policy: Value, priority: Value) =>
  word(abi, 'sched_setscheduler', pid, policy, typeof priority === 'number' ? int(priority) : priority)
const getscheduler = (pid: Value) => word(ABI, 'sched_getscheduler', pid)

/** A 32-bit number in memory. */
function int(value: number): string {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32LE(value)
  return `h=${bytes.toString('hex')}`
}

interface Attributes {
  readonly size?: number
  readonly policy?: number
  readonly flags?: number
  readonly nice?: number
  readonly priority?: number
  readonly times?: readonly [number, number, number]
  /** How much memory there is, and one byte to set in it. */
  readonly bytes?: number
  readonly byte?: number
}

function attributes({
  size = 48,
  policy = 0,
  flags = 0,
  nice = 0,
  priority = 0,
  times,
  bytes,
  byte,
}: Attributes): string {
  const all = Buffer.alloc(Math.max(56, bytes ?? 0))
  all.writeUInt32LE(size, 0)
  all.writeInt32LE(policy, 4)
  all.writeBigUInt64LE(BigInt(flags), 8)
  all.writeInt32LE(nice, 16)
  all.writeInt32LE(priority, 20)
  times?.forEach((time, index) => all.writeBigUInt64LE(BigInt(time), 24 + 8 * index))
  if (byte !== undefined) all[byte] = 1
  return `h=${all.subarray(0, bytes ?? 56).toString('hex')}`
}

const words = (abi: Abi): readonly string[] => [
  setscheduler(abi, 'child', FIFO, 10),
  getscheduler('child'),
  word(abi, 'sched_setparam', 'child', int(20)),
  word(abi, 'sched_getparam', 'child', 'b=4'),
  setscheduler(abi, 'child', RR | RESET_ON_FORK, 99),
  getscheduler('child'),
  setscheduler(abi, 'child', BATCH, 0),
  getscheduler('child'),
  setscheduler(abi, 'child', IDLE, 0),
  setscheduler(abi, 'child', 0, 0),
  setscheduler(abi, 'sibling', FIFO, 7),
  getscheduler('sibling'),
  getscheduler(0),
  setscheduler(abi, 0, FIFO, 5),
  getscheduler('self'),
  setscheduler(abi, 'self', 0, 0),
  word(abi, 'sched_setattr', 'child', attributes({policy: FIFO, priority: 33, flags: 1}), 0),
  getscheduler('child'),
  word(abi, 'sched_setattr', 'child', attributes({policy: 0, nice: -15}), 0),
  word(abi, 'getpriority', 0, 'child'),
  word(abi, 'sched_setattr', 'child', attributes({policy: 0, nice: -100}), 0),
  word(abi, 'getpriority', 0, 'child'),
  word(abi, 'sched_setattr', 'child', attributes({policy: FIFO, priority: 3}), 0),
  // KEEP_POLICY: the priority alone; KEEP_PARAMS: the policy alone.
  word(abi, 'sched_setattr', 'child', attributes({policy: 0, priority: 44, flags: 8}), 0),
  word(abi, 'sched_getparam', 'child', 'b=4'),
  word(abi, 'sched_setattr', 'child', attributes({policy: RR, flags: 0x10}), 0),
  word(abi, 'sched_setattr', 'child', attributes({policy: DEADLINE, times: [1e6, 1e7, 1e7]}), 0),
  getscheduler('child'),
  // Bad input: pids, policies, priorities, memory.
  ...[999_999, -1, 1n << 31n].flatMap((pid) => [
    setscheduler(abi, pid, FIFO, 10),
    word(abi, 'sched_setparam', pid, int(1)),
    word(abi, 'sched_setattr', pid, attributes({policy: FIFO, priority: 1}), 0),
  ]),
  ...[-1, 4, 8, 77, RESET_ON_FORK | 4, 0x1000_0001].map((policy) => setscheduler(abi, 0, policy, 0)),
  ...[0, 100, -1, 2 ** 31 - 1].flatMap((priority) => [
    setscheduler(abi, 0, FIFO, priority),
    setscheduler(abi, 0, 0, priority),
    word(abi, 'sched_setattr', 0, attributes({policy: RR, priority}), 0),
  ]),
  setscheduler(abi, 0, FIFO, BAD.toString()),
  setscheduler(abi, 0, FIFO, '0'),
  setscheduler(abi, 999_999, FIFO, '0'),
  word(abi, 'sched_setparam', 0, BAD),
  word(abi, 'sched_setparam', 0, 0),
  word(abi, 'sched_setattr', 0, BAD, 0),
  word(abi, 'sched_setattr', 0, 0, 0),
  word(abi, 'sched_setattr', 0, attributes({}), 1),
  ...[0, 1, 47, 48, 55, 56, 57, 64, 4096, 4097, 2 ** 32 - 1].map((size) =>
    word(abi, 'sched_setattr', 0, attributes({size, bytes: 4096}), 0),
  ),
  word(abi, 'sched_setattr', 0, attributes({size: 64, bytes: 64, byte: 60}), 0),
  word(abi, 'sched_setattr', 0, attributes({size: 64, bytes: 60}), 0),
  word(abi, 'sched_setattr', 0, attributes({size: 47, bytes: 48}), 0),
  word(abi, 'sched_setattr', 0, attributes({flags: 0x20}), 0),
  word(abi, 'sched_setattr', 0, attributes({flags: 0x1000_0000}), 0),
  word(abi, 'sched_setattr', 0, attributes({flags: 0x8000_0000}), 0),
  word(abi, 'sched_setattr', 0, attributes({policy: -1}), 0),
  word(abi, 'sched_setattr', 0, attributes({policy: DEADLINE, times: [1e7, 1e6, 1e7]}), 0),
]

describe('sched_setscheduler in a container', function () {
  this.timeout(120_000)
  skipUnlessPrivileged()
  skipUnlessPrograms('cc')
  const directories = temporaryDirectories()
  const open = (directory: string) => chmodSync(directory, 0o755)
  const inside = (own: readonly string[], policy: typeof ALL | {sched: {maxPriority: number}} = ALL) =>
    inContainer(directories(), own, policy, {prepare: open})

  itOnEachAbi('B14: does what the kernel does for root, with its errnos', async (abi) => {
    const own = words(abi)
    const expected = outside(directories(), own)
    const {answers} = await inside(own)
    assert.deepEqual(paired(own, answers), paired(own, expected))
  })

  describe('with a process of the host beside it', () => {
    let host: ChildProcess
    before(() => {
      host = spawn('sleep', ['1000'])
    })
    after(() => host.kill('SIGKILL'))

    it('B14: never hits a process of the host by its number', async () => {
      const low = [1, 2, 3, 4, 5, 6, 7, 8, 9]
      const policies = () => outside(directories(), [host.pid!, ...low].map(getscheduler))
      const before = policies()
      const {answers} = await inside([
        setscheduler(ABI, host.pid!, FIFO, 10),
        setscheduler(ABI, 'child', FIFO, 10),
        ...low.map((pid) => setscheduler(ABI, pid, FIFO, 10)),
        getscheduler('child'),
      ])
      assert.equal(answers[0], String(ESRCH))
      assert.equal(answers[1], '0')
      assert.equal(answers.at(-1), String(FIFO))
      // Some of the low numbers are the container's own; the host has them all.
      assert.equal(answers.slice(2, -1).includes('0'), true)
      assert.deepEqual(policies(), before)
    })
  })

  it('B14: counts pids in the pid namespace of the caller', async () => {
    const own = [`unshare|${CLONE_NEWPID}`, 'fork', setscheduler(ABI, 1, FIFO, 9), getscheduler(0), getscheduler(1)]
    const {answers} = await inside([...own, setscheduler(ABI, 3, FIFO, 9)])
    assert.deepEqual(answers.slice(2), ['0', '1', '1', String(ESRCH)])
  })

  it('B14: reaches processes of other users of the container', async () => {
    const other =
      'setpriv --reuid 1000 --regid 1000 --clear-groups sleep 5 & sleep .2; chrt -f -p 12 $!; chrt -p $!; kill $!'
    const {output} = await runIntercepted(directories(), ['sh', '-c', other], ALL)
    assert.match(output, /SCHED_FIFO\n.* priority: 12\n/)
  })

  it('B14: has a ceiling for priorities and says which flag raises it', async () => {
    const own = [
      setscheduler(ABI, 0, FIFO, 50),
      setscheduler(ABI, 0, RR, 51),
      word(ABI, 'sched_setparam', 0, int(51)),
      word(ABI, 'sched_setattr', 0, attributes({policy: FIFO, priority: 51}), 0),
      word(ABI, 'sched_setattr', 0, attributes({flags: 8, priority: 51}), 0),
      word(ABI, 'sched_setattr', 0, attributes({policy: DEADLINE, times: [1e6, 1e7, 1e7]}), 0),
      setscheduler(ABI, 0, DEADLINE, 0),
      word(ABI, 'sched_getparam', 0, 'b=4'),
    ]
    const {answers, decisions} = await inside(own, {sched: {maxPriority: 50}})
    assert.deepEqual(answers, ['0', ...Array<string>(6).fill(String(EPERM)), '0 32000000'])
    assert.deepEqual(decisions[1]?.hint, {flag: '--sched-max-priority', value: '51'})
    assert.deepEqual(decisions[5]?.hint, {flag: '--sched-deadline'})
  })

  it('looks for the task before it asks for permission, as the kernel does', async () => {
    const none = 4_000_000
    const {answers, decisions} = await inside([setscheduler(ABI, none, FIFO, 51)], {sched: {maxPriority: 50}})
    assert.deepEqual([answers, decisions[0]?.outcome], [[String(ESRCH)], 'failed'])
  })

  it('leaves callers without CAP_SYS_NICE and nested user namespaces to the kernel', async () => {
    for (const change of ['ids|1000|1000', `drop|${CAP_SYS_NICE}`, `unshare|${CLONE_NEWUSER}`]) {
      const own = [change, setscheduler(ABI, 0, FIFO, 1), setscheduler(ABI, 0, BATCH, 0)]
      const {answers, decisions} = await inside(own)
      assert.deepEqual(answers, ['0', String(EPERM), '0'], change)
      assert.deepEqual(
        decisions.map(({outcome}) => outcome),
        ['continued', 'continued'],
      )
    }
  })
})

describe('sched_setscheduler in a cpu cgroup without real-time bandwidth', function () {
  this.timeout(30_000)
  skipUnlessPrivileged()
  skipUnlessPrograms('cc')
  skipUnless(existsSync('/sys/fs/cgroup/cpu/cpu.rt_runtime_us'), 'no real-time group scheduling here')
  const directories = temporaryDirectories()
  const own = `/sys/fs/cgroup/cpu/interceptor-sched-${process.pid}`
  before(() => mkdirSync(own))
  after(async () => {
    // Hooks of suites that are skipped run too.
    if (!existsSync(own)) return
    await until(() => readFileSync(join(own, 'cgroup.procs'), 'utf8') === '', 'it is empty')
    rmdirSync(own)
  })

  it('says so', async () => {
    const directory = directories()
    const program = buildTestProgram('raw-calls', directory)
    const cgroup = {
      description: {version: 1, cpu: {top: '/sys/fs/cgroup/cpu', own}},
      join: (pid: number) => writeFileSync(join(own, 'cgroup.procs'), String(pid)),
    } as unknown as ContainerCgroup
    const run = await runIntercepted(directory, [program, setscheduler(ABI, 0, FIFO, 1)], ALL, {}, [], cgroup)
    assert.equal(run.output, `${ABI} ${EPERM}\n`)
    assert.match(run.decisions[0]?.reason ?? '', /no real-time bandwidth/)
  })
})

describe('translatePid', function () {
  this.timeout(30_000)
  skipUnlessPrivileged()
  skipUnlessPrograms('unshare')
  let outer: ChildProcess | undefined
  let init = 0

  before(async () => {
    const child = spawn('unshare', [
      '--pid',
      '--fork',
      '--kill-child',
      'sh',
      '-c',
      'sleep 1000 & sleep 1000 & unshare --pid --fork sleep 1000',
    ])
    const children = (pid: number) =>
      readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number)
    outer = child
    await until(() => children(child.pid!)[0] !== 0, 'it has forked')
    init = children(child.pid!)[0]!
    await until(() => children(init).length === 3 && children(children(init)[2]!)[0] !== 0, 'it has children')
  })
  after(() => void outer?.kill('SIGKILL'))

  it('finds every task of a pid namespace by its number there, on old kernels too', () => {
    const task = openTask(init)
    const namespace = openPidNamespace(task)
    try {
      const found = [1, 2, 3, 4, 5].map((pid) => translatePid(namespace, pid, 1))
      assert.equal(found[0], init)
      assert.equal(new Set(found).size, 5)
      for (const [index, tid] of found.entries()) {
        assert.equal(findInProc(namespace, index + 1, 1), tid)
        assert.match(
          readFileSync(`/proc/${tid}/status`, 'latin1'),
          new RegExp(`^NSpid:\\t${tid}\\t${index + 1}(\\t1)?$`, 'm'),
        )
      }
      for (const find of [translatePid, findInProc]) {
        assert.throws(() => find(namespace, 99_999, 1), {code: 'ESRCH'})
        assert.throws(() => find(namespace, process.pid, 1), {code: 'ESRCH'})
      }
    } finally {
      close(namespace)
      close(task)
    }
  })
})
