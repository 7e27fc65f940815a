// One call of two families.

import assert from 'node:assert/strict'

import {combine} from '../../../src/intercept/combine.js'
import type {AnyCall, Condition, Performed, Verdict} from '../../../src/intercept/family.js'

const QUIET: Verdict = {kind: 'continue', reason: 'silent', silent: true}
const TOLD: Verdict = {kind: 'continue', reason: 'told'}
const REFUSED: Verdict = {kind: 'refuse', errno: 1, reason: 'no'}
const PERFORM: Verdict = {kind: 'perform', reason: 'yes'}
const DONE: Performed = {kind: 'done', value: 7, strategy: 'x'}

function call(verdict: Verdict, performed: Performed = DONE, precheck?: Verdict): AnyCall {
  return {
    name: 'setxattr',
    arguments: {},
    ...(precheck === undefined ? {} : {precheck: () => precheck}),
    decide: () => verdict,
    perform: () => performed,
  }
}

/** What the combined call answers, as answer.ts would have it. */
function answer(one: AnyCall, other: AnyCall): unknown {
  const combined = combine([
    {call: one, policy: 1},
    {call: other, policy: 2},
  ])
  const precheck = combined.precheck?.([1, 2])
  if (precheck !== undefined) return precheck
  const verdict = combined.decide({}, {} as never, undefined)
  return verdict.kind === 'perform' ? combined.perform({}, {facts: {}} as never, [1, 2]) : verdict
}

describe('a call of two families', () => {
  const none = {kind: 'continue', reason: 'nothing', silent: true} as const
  for (const [title, one, other, expected] of [
    ['is performed by the first', call(PERFORM), call(REFUSED), DONE],
    ['is performed by the second where the first leaves it', call(QUIET), call(PERFORM), DONE],
    ['is performed by the second where the first finds nothing', call(PERFORM, none), call(PERFORM), DONE],
    ['is refused by the first', call(REFUSED), call(PERFORM), REFUSED],
    ['is refused by the second', call(TOLD), call(REFUSED), REFUSED],
    ['is left to the kernel by both', call(QUIET), call(QUIET), QUIET],
    ['is told of where one tells of it', call(QUIET), call(TOLD), TOLD],
    ['ends early where both do', call(PERFORM, DONE, QUIET), call(PERFORM, DONE, TOLD), QUIET],
    ['does not end early where one does', call(PERFORM), call(PERFORM, DONE, QUIET), DONE],
  ] as const) {
    it(title, () => assert.deepEqual(answer(one, other), expected))
  }

  it('may not block', () => {
    const slow = {...call(PERFORM), lane: 'slow'} as const
    assert.throws(
      () =>
        combine([
          {call: slow, policy: 1},
          {call: slow, policy: 2},
        ]),
      /may block/u,
    )
  })

  it('asks each part with its own policy and state', () => {
    const asked: unknown[] = []
    const spy = (verdict: Verdict): AnyCall => ({
      ...call(verdict),
      decide: (_values, _facts, policy: unknown) => {
        asked.push(policy)
        return verdict
      },
      perform: (_values, _caller, state: unknown) => {
        asked.push(state)
        return DONE
      },
    })
    const combined = combine([
      {call: spy(QUIET), policy: 'first'},
      {call: spy(PERFORM), policy: 'second'},
    ])
    combined.perform({}, {facts: {}} as never, ['one', 'two'])
    assert.deepEqual(asked, ['first', 'second', 'two'])
  })

  it('attempts what the part would that refuses it', () => {
    const attempted: unknown[] = []
    const attempting = (verdict: Verdict, name: string): AnyCall => ({
      ...call(verdict),
      attemptWithoutPermission: (_values, _caller, state: unknown) => void attempted.push([name, state]),
    })
    const combined = combine([
      {call: attempting(QUIET, 'first'), policy: 1},
      {call: attempting(REFUSED, 'second'), policy: 2},
    ])
    combined.attemptWithoutPermission?.({}, {facts: {}} as never, ['one', 'two'])
    assert.deepEqual(attempted, [['second', 'two']])
  })

  it('is looked at where any part would look at it', () => {
    const group = (value: bigint): Condition => [[{argument: 0, width: 32, operator: 'eq', value}]]
    const conditionOf = (...conditions: (Condition | undefined)[]) =>
      combine(
        conditions.map((condition, policy) => ({
          call: {...call(QUIET), ...(condition === undefined ? {} : {condition})},
          policy,
        })),
      ).condition
    assert.deepEqual(conditionOf(group(1n), group(2n)), [...group(1n), ...group(2n)])
    assert.equal(conditionOf(group(1n), undefined), undefined)
  })
})
