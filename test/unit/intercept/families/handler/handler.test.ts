// The parts of --handler that need no container: declarations, answers, and the lane with its time limits.

import assert from 'node:assert/strict'
import {setTimeout as sleep} from 'node:timers/promises'

import {MACHINE_ABIS, X32_SYSCALL_BIT} from '../../../../../src/kernel/abi.js'
import {parseDeclaration} from '../../../../../src/intercept/families/handler/declaration.js'
import {HandlerLane} from '../../../../../src/intercept/engine/handler-lane.js'
import type {HandlerCall} from '../../../../../src/intercept/engine/handler-lane.js'
import {answerOfHandler} from '../../../../../src/intercept/families/handler/result.js'
import {notifyRules} from '../../../../../src/intercept/filter/filter.js'
import {handlerFamilyWith} from '../../../../../src/intercept/families/handler/index.js'

describe('parseDeclaration', () => {
  const handle = () => ({value: 0})

  it('gives plain data that JSON and structured clones keep', () => {
    const condition = [[{argument: 1, width: 32, operator: 'eq', value: -1, mask: 0xffn}]]
    const members = {name: 'probe', number: 6000, condition, arguments: {text: {kind: 'string', index: 0, limit: 9}}}
    const declaration = parseDeclaration('a.js', '/a.js', 2, {...members, handle})
    assert.deepEqual(declaration, {
      file: '/a.js',
      index: 2,
      name: 'probe',
      number: 6000,
      timeLimitMs: 2000,
      arguments: [{name: 'text', kind: 'string', index: 0, limit: 9}],
      condition: [[{argument: 1, width: 32, operator: 'eq', value: '0xffffffffffffffff', mask: '0xff'}]],
    })
    assert.deepEqual(JSON.parse(JSON.stringify(declaration)), declaration)
  })

  it('asks for the number on every ABI, with the bit of x32', () => {
    const declaration = parseDeclaration('a.js', '/a.js', 0, {name: 'probe', number: 6000, handle})
    const calls = handlerFamilyWith(new Map()).calls({calls: [declaration]}, {rootless: false})
    assert.deepEqual(
      notifyRules(calls).map(({abi, number}) => [abi, number]),
      MACHINE_ABIS.map((abi) => [abi, abi === 'x32' ? 6000 + X32_SYSCALL_BIT : 6000]),
    )
  })
})

describe('answerOfHandler', () => {
  const answer = (result: unknown) => answerOfHandler('probe', result, (fd) => fd + 100)

  it('takes values, errnos by name and number, descriptors and continue', () => {
    const strategy = 'handler'
    assert.deepEqual(answer({value: 3}), {kind: 'done', value: 3, strategy})
    assert.deepEqual(answer({errno: 'ENOENT', reason: 'gone'}), {kind: 'failed', errno: 2, strategy, reason: 'gone'})
    assert.deepEqual(answer({errno: 22}), {kind: 'failed', errno: 22, strategy, reason: "the handler's answer"})
    assert.deepEqual(answer({descriptor: 5, closeOnExec: false}), {
      kind: 'descriptor',
      fd: 105,
      closeOnExec: false,
      strategy,
    })
    assert.equal(answer({continue: true}).kind, 'continue')
  })

  const nonsense: readonly unknown[] = [
    ...[undefined, null, 0, 'value', [], [1], {}, Promise.resolve({value: 1})],
    ...[{value: -1}, {value: 1.5}, {value: NaN}, {value: 2 ** 60}, {value: 3n}, {value: 1, errno: 2}],
    ...[{errno: 0}, {errno: 4096}, {errno: 'ENOSUCH'}, {errno: -2}, {continue: false}, {continue: 1}],
    ...[{descriptor: -1}, {descriptor: 2 ** 31}, {value: 1, reason: 5}],
  ]
  for (const [index, result] of nonsense.entries()) {
    it(`refuses nonsense number ${index}`, () => {
      assert.equal(answer(result).kind, 'refuse', String(result))
    })
  }

  it('bounds what a reason may say', () => {
    const answered = answer({value: 1, reason: 'x'.repeat(10_000)})
    assert.deepEqual(answered, {kind: 'done', value: 1, strategy: 'handler', reason: 'x'.repeat(400)})
  })
})

describe('HandlerLane', () => {
  interface FakeWorker {
    readonly number: number
    inCall: boolean
  }

  function lane() {
    const events: string[] = []
    const workers: FakeWorker[] = []
    const made = new HandlerLane<FakeWorker>({
      start() {
        workers.push({number: workers.length, inCall: false})
        return workers.at(-1)!
      },
      tell(worker, {name}) {
        worker.inCall = true
        events.push(`${worker.number} ${name}`)
      },
      isInCall: ({inCall}) => inCall,
      end: ({number}) => events.push(`end ${number}`),
      refuse: ({name}) => events.push(`refuse ${name}`),
    })
    const call = (name: string, timeLimitMs = 10_000): HandlerCall => ({
      bytes: new Uint8Array(80),
      receivedMs: 0,
      name,
      timeLimitMs,
    })
    return {made, events, workers, call}
  }

  it('gives one call at a time, in order', () => {
    const {made, events, workers, call} = lane()
    for (const name of ['a', 'b', 'c']) made.give(call(name))
    assert.deepEqual(events, ['0 a'])
    made.answered(workers[0]!)
    made.answered(workers[0]!)
    assert.deepEqual(events, ['0 a', '0 b', '0 c'])
    made.answered(workers[0]!)
  })

  it('refuses the call that is late, and goes on with a fresh worker', async () => {
    const {made, events, workers, call} = lane()
    made.give(call('late', 5))
    made.give(call('next'))
    await sleep(60)
    assert.deepEqual(events, ['0 late', 'refuse late', 'end 0', '1 next'])
    made.answered(workers[0]!)
    assert.deepEqual(events.length, 4)
    made.answered(workers[1]!)
  })

  it('counts no time while the worker still loads', async () => {
    const {made, events, workers, call} = lane()
    made.give(call('first', 5))
    workers[0]!.inCall = false
    await sleep(60)
    assert.deepEqual(events, ['0 first'])
    made.answered(workers[0]!)
  })

  it('gives a call again that the dying worker had not begun', () => {
    const {made, events, workers, call} = lane()
    made.give(call('a'))
    workers[0]!.inCall = false
    made.gone(workers[0]!, 'crash')
    assert.deepEqual(events, ['0 a', 'end 0', '1 a'])
    made.gone(workers[1]!, 'crash')
    assert.deepEqual(events.slice(3), ['refuse a', 'end 1'])
  })

  it('gives up when workers die again and again', () => {
    const {made, events, workers, call} = lane()
    for (let round = 0; round < 40; round++) {
      made.give(call('bad'))
      const last = workers.at(-1)!
      if (last.inCall) made.gone(last, 'crash')
    }
    assert.equal(workers.length, 32)
    assert.equal(events.filter((event) => event === 'refuse bad').length, 40)
  })
})
