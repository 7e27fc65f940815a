// One call of two families.

import assert from 'node:assert/strict'

import {combine} from '../../../../src/intercept/engine/combine.js'
import {modeOf} from '../../../../src/intercept/families/mknod/acl.js'
import type {AnyCall, Performed, Verdict} from '../../../../src/intercept/family.js'

const QUIET: Verdict = {kind: 'continue', reason: 'quiet', quiet: true}
const TOLD: Verdict = {kind: 'continue', reason: 'told'}
const REFUSED: Verdict = {kind: 'refuse', errno: 1, reason: 'no'}
const PERFORM: Verdict = {kind: 'perform', reason: 'yes'}
const DONE: Performed = {kind: 'done', value: 7, strategy: 'x'}

function call(verdict: Verdict, performed: Performed = DONE, early?: Verdict): AnyCall {
  return {
    name: 'setxattr',
    arguments: {},
    ...(early === undefined ? {} : {early: () => early}),
    decide: () => verdict,
    perform: () => performed,
  }
}

/** What the combined call answers, as answer.ts would have it. */
function answer(one: AnyCall, other: AnyCall): unknown {
  const combined = combine({call: one, policy: 1, state: 1}, {call: other, policy: 2, state: 2})
  const early = combined.early?.(undefined)
  if (early !== undefined) return early
  const verdict = combined.decide({}, {} as never, undefined)
  return verdict.kind === 'perform' ? combined.perform({}, {facts: {}} as never, undefined) : verdict
}

describe('a call of two families', () => {
  const none = {kind: 'continue', reason: 'nothing', quiet: true} as const
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
    assert.throws(() => combine({call: slow, policy: 1, state: 1}, {call: slow, policy: 1, state: 1}), /may block/u)
  })
})

describe('an access list', () => {
  const list = (...entries: readonly (readonly [number, number])[]): Buffer => {
    const bytes = Buffer.alloc(4 + 8 * entries.length, 0xff)
    bytes.writeUInt32LE(2, 0)
    entries.forEach(([tag, permissions], index) => {
      bytes.writeUInt16LE(tag, 4 + 8 * index)
      bytes.writeUInt16LE(permissions, 6 + 8 * index)
    })
    return bytes
  }

  it('is a mode where it says no more', () => {
    assert.equal(modeOf(list([1, 6], [4, 4], [32, 1])), 0o641)
  })

  it('is none where it says more, or less, or is none', () => {
    for (const other of [
      list([1, 6], [2, 7], [4, 4], [16, 7], [32, 4]),
      list([1, 6], [4, 4]),
      list([1, 6], [1, 6], [32, 4]),
      list([1, 6], [4, 8], [32, 4]),
      list([1, 6], [8, 4], [32, 4]),
      Buffer.alloc(28),
      Buffer.alloc(0),
    ])
      assert.equal(modeOf(other), undefined)
  })
})
