// The engine with real notifications: every way a call may end, threads, storms, slow calls, callers that die.

import assert from 'node:assert/strict'
import {mkdtempSync, readdirSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {setTimeout} from 'node:timers/promises'

import {MACHINE_ABIS} from '../../../src/kernel/abi.js'
import type {NotifyChildOptions} from '../../helpers/notify-child.js'
import {NotifyChild, buildNotifyChild} from '../../helpers/notify-child.js'
import {skipUnlessRoot} from '../../helpers/skip.js'
import {family} from '../../fixtures/probe-family.js'
import {syscallNumber} from '../../../src/kernel/calls/index.js'

const module = new URL('../../fixtures/probe-family.ts', import.meta.url).href
const abi = MACHINE_ABIS[0]!
const number = (name: string): number => syscallNumber(abi, name)!

describe('the engine', () => {
  skipUnlessRoot()
  let program: string
  let child: NotifyChild

  before(() => {
    program = buildNotifyChild()
  })

  afterEach(async () => {
    await child.end()
    assert.deepEqual(child.fatal, [])
  })

  const start = async (options: Partial<NotifyChildOptions> = {}): Promise<void> => {
    child = await NotifyChild.start(program, {module, family, ...options})
  }

  it('answers with a value, and records who called', async () => {
    await start()
    await child.run('prctl-name', 'a\\b')
    assert.deepEqual(await child.run('call', number('getpgid'), 5, 0), {result: 42, errno: 0})
    await child.supervisor.stop()
    const [decision] = child.decisions
    assert.equal(child.decisions.length, 1)
    assert.deepEqual(
      {...decision, timeMs: 0, latencyUs: 0},
      {
        timeMs: 0,
        latencyUs: 0,
        pid: 1,
        tid: 1,
        hostPid: child.pid,
        uid: 0,
        gid: 0,
        comm: 'a\\b',
        abi,
        syscall: 'getpgid',
        values: {pid: 5},
        registers: undefined,
        outcome: 'emulated',
        strategy: 'probe',
        result: 42,
        errno: null,
        reason: 'a test',
        hint: null,
        created: undefined,
      },
    )
    assert.ok(Math.abs(decision!.timeMs - Date.now()) < 60_000)
    assert.ok(decision!.latencyUs > 0)
  })

  it('ends a call in each way that it may end', async () => {
    await start()
    const getsid = async (how: number, extra = 0): Promise<object> =>
      await child.run('call', number('getsid'), how, extra)
    assert.deepEqual(await getsid(1), {result: -1, errno: 13})
    assert.deepEqual(await getsid(2), {result: -1, errno: 3}, 'the kernel has no process 2 there')
    assert.deepEqual(await getsid(3), {result: -1, errno: 3})
    assert.deepEqual(await getsid(4), {result: -1, errno: 28})
    assert.deepEqual(await getsid(5), {result: -1, errno: 1})
    const descriptor = (await child.run('call', number('getsid'), 6, 0)).result
    assert.ok(descriptor > 2)
    assert.deepEqual(await getsid(7, 8), {result: -1, errno: 14})
    await child.supervisor.stop()
    const shown = child.decisions.map(({outcome, result, errno, strategy, reason, hint}) => [
      outcome,
      result,
      errno,
      strategy,
      reason,
      hint,
    ])
    assert.deepEqual(shown, [
      ['refused', -1, 13, null, 'one is refused', {advice: 'ask for two'}],
      ['continued', null, null, null, "two is the kernel's", null],
      ['failed', -1, 28, null, "the kernel's own error", null],
      ['failed', -1, 1, null, 'internal error: a bug', null],
      ['emulated', descriptor, null, 'probe', 'a test', null],
      ['failed', -1, 14, null, "the kernel's own error", null],
    ])
    assert.deepEqual(child.silent, {getsid: 1})
  })

  it("fails a call with EFAULT where its path can't be read, and records the registers", async () => {
    await start()
    assert.deepEqual(await child.run('call', number('mknodat'), 0, 8), {result: -1, errno: 14})
    await child.supervisor.stop()
    assert.equal(child.decisions[0]?.values, undefined)
    assert.equal(child.decisions[0]?.registers?.[1], 8n)
  })

  it('rests with few capabilities and its own ids between calls', async () => {
    await start()
    await child.run('setgroups', 5)
    await child.run('mknodat', -100, '/nowhere/x', 0o20666, 0x103)
    assert.deepEqual(await child.run('call', number('getsid'), 0, 0), {result: 1, errno: 0})
  })

  it('answers 100,000 calls exactly once each under a storm of signals', async function () {
    this.timeout(120_000)
    await start()
    assert.deepEqual(await child.run('storm', number('getpgid'), 100_000), {result: 100_000, errno: 0})
    assert.deepEqual(await child.run('call', number('getsid'), 8, 0), {result: 100_000, errno: 0})
    await child.supervisor.stop()
    assert.equal(child.decisions.length, 100_001)
  })

  it('waits for a log that falls behind instead of keeping decisions in memory', async function () {
    this.timeout(120_000)
    const sizes: number[] = []
    let unwritten = 0
    await start({
      onBatch: async ({decisions}) => {
        sizes.push(decisions.length)
        assert.equal(++unwritten, 1)
        await setTimeout(5)
        unwritten--
      },
    })
    await child.run('many', number('getpgid'), 20_000)
    await child.supervisor.stop()
    assert.equal(child.decisions.length, 20_000)
    // No record of a decision has less than 32 bytes.
    assert.ok(Math.max(...sizes) <= (64 * 1024) / 32, String(sizes))
  })

  it('performs slow calls on another worker, which does not hold up the others', async () => {
    await start()
    child.send('thread', 'call', number('getpriority'), 0, 300)
    assert.deepEqual(await child.next(), {result: 7, errno: 0})
    await child.supervisor.stop()
    const [decision] = child.decisions
    assert.equal(decision?.syscall, 'getpriority')
    assert.ok(decision.latencyUs >= 290_000)
  })

  it('replaces a worker that is stuck in a call, which then answers it', async () => {
    await start({stuckMs: 200})
    const stuck = child.run('call', number('sched_getscheduler'), 1500, 0)
    assert.deepEqual(await stuck, {result: 9, errno: 0})
    assert.deepEqual(await child.run('call', number('getpgid'), 0, 0), {result: 42, errno: 0})
    await child.supervisor.stop()
    assert.deepEqual(child.decisions.map(({syscall}) => syscall).sort(), ['getpgid', 'sched_getscheduler'])
  })

  it('loses no decision of a worker that does not come back', async () => {
    await start({stuckMs: 10_000})
    child.send('many', number('getpgid'), 5)
    child.send('call', number('sched_getscheduler'), 3000, 0)
    await child.next()
    await child.inCall()
    await child.supervisor.stop()
    assert.equal(child.supervisor.stuckWorkers, 1)
    assert.deepEqual(
      child.decisions.map(({syscall}) => syscall),
      Array.from({length: 5}, () => 'getpgid'),
    )
  })

  it('only counts decisions that nobody wants to see', async () => {
    await start({wanted: {outcomes: ['refused'], created: true}})
    for (const how of [1, 2, 3, 5, 6]) await child.run('call', number('getsid'), how, 0)
    await child.run('many', number('getpgid'), 1000)
    await child.supervisor.stop()
    assert.deepEqual(
      child.decisions.map(({outcome, pid}) => [outcome, pid]),
      [['refused', 1]],
    )
    assert.deepEqual(
      child.counted.slice(0, 4).map(({outcome, syscall}) => [outcome, syscall]),
      [
        ['continued', 'getsid'],
        ['failed', 'getsid'],
        ['emulated', 'getsid'],
        ['emulated', 'getpgid'],
      ],
    )
    assert.equal(child.counted.length, 1003)
    assert.ok(child.counted.every(({latencyUs}) => latencyUs > 0))
    assert.deepEqual(child.silent, {getsid: 1})
  })

  it('ends when the last task with the filter is gone', async () => {
    await start()
    child.kill()
    await child.supervisor.ended
  })

  it('performs nothing for a caller that died between what was read of it and the performance', async () => {
    await start()
    const directory = mkdtempSync(join(tmpdir(), 'engine-'))
    try {
      assert.equal((await child.run('mknodat', -100, join(directory, 'alive'), 1, 0)).result, 0)
      child.send('mknodat', -100, join(directory, 'dead'), 1, child.pid)
      await child.supervisor.ended
      assert.deepEqual(readdirSync(directory), ['alive'])
      assert.equal(child.decisions.length, 1)
    } finally {
      rmSync(directory, {recursive: true})
    }
  })

  it('goes on after a caller that died in a call', async () => {
    await start()
    await child.run('call', number('getpgid'), 0, 0)
    child.send('call', number('sched_getscheduler'), 1500, 0)
    await child.inCall()
    child.kill()
    await child.supervisor.ended
    assert.match(child.decisions[1]?.reason ?? '', /gone before the answer/)
  })
})
