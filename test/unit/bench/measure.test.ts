// The arithmetic of benchmarks.

import assert from 'node:assert/strict'

import type {Comparison, Unit} from '../../../bench/figure.js'
import {alternate, evaluate, isReached, quantile, ratiosOf, spreadOf} from '../../../bench/measure.js'
import {quantityText, tableText} from '../../../bench/report.js'

describe('measure', () => {
  describe('quantile', () => {
    it('is a value, or lies between two in proportion', () => {
      assert.deepEqual(
        [0, 0.25, 0.5, 0.75, 1].map((share) => quantile([1, 2, 3, 4, 5], share)),
        [1, 2, 3, 4, 5],
      )
      assert.equal(quantile([10, 20], 0.5), 15)
      assert.equal(quantile([7], 0.99), 7)
    })

    it('throws where nothing was measured', () => {
      assert.throws(() => quantile([], 0.5), RangeError)
    })
  })

  it('orders numbers as numbers', () => {
    assert.deepEqual(spreadOf([100, 9, 20]), {count: 3, median: 20, lower: 14.5, upper: 60, min: 9, max: 100})
  })

  it('divides round by round', () => {
    assert.deepEqual(ratiosOf([2, 30], [1, 10]), [2, 3])
    assert.throws(() => ratiosOf([1], [1, 2]), RangeError)
  })

  it('takes the median of the ratios, not the ratio of the medians', () => {
    const series = (name: string, values: readonly number[]) => ({name, unit: 'ns' as const, values})
    // Each round took twice as long as the one before it, for both.
    const {ratio, verdict} = evaluate({
      what: 'x',
      subject: series('ours', [3, 6, 12]),
      baseline: series('theirs', [2, 4, 8]),
      target: {atMost: 1.5},
    })
    assert.deepEqual(ratio, {count: 3, median: 1.5, lower: 1.5, upper: 1.5, min: 1.5, max: 1.5})
    assert.equal(verdict, 'REACHED')
  })

  it('reaches a target at its very value', () => {
    assert.deepEqual(
      [
        isReached(1.5, {atMost: 1.5}),
        isReached(1.51, {atMost: 1.5}),
        isReached(1, {atLeast: 1}),
        isReached(0.9, {atLeast: 1}),
      ],
      [true, false, true, false],
    )
  })

  describe('alternate', () => {
    it('turns the order round in every other round, and does not count the first', async () => {
      const order: string[] = []
      const subject = (name: string) => (round: number) => {
        order.push(name)
        return round
      }
      const results = await alternate({a: subject('a'), b: subject('b')}, {rounds: 2, warmUps: 1})
      assert.deepEqual(results, {a: [0, 1], b: [0, 1]})
      assert.equal(order.join(''), 'baabba')
    })

    it('ends when it is told to', async () => {
      const controller = new AbortController()
      controller.abort(new Error('enough'))
      const {signal} = controller
      await assert.rejects(alternate({a: () => 1}, {rounds: 1, signal}), /enough/u)
    })
  })
})

describe('the report of figures', () => {
  it('shows quantities so that they can be read', () => {
    const cases: readonly (readonly [number, Unit, string])[] = [
      [999, 'ns', '999 ns'],
      [2512, 'ns', '2.51 us'],
      [12.34, 's', '12.3 s'],
      [1536, 'bytes', '1.50 KiB'],
      [123.4, 'calls/s', '123/s'],
    ]
    for (const [value, unit, text] of cases) assert.equal(quantityText(value, unit), text)
  })

  it('shows ratio, target and verdict, and says what was left out', () => {
    const comparison: Comparison = {
      what: 'one call',
      subject: {name: 'ours', unit: 'ns', values: [3000, 3000], p99: [9000, 9000]},
      baseline: {name: 'theirs', unit: 'ns', values: [1000, 1000]},
      target: {atMost: 2.5},
    }
    const text = tableText({
      figures: [
        {name: 'one', title: 'a title', rows: [evaluate(comparison)]},
        {name: 'two', title: 'another', rows: [], leftOut: 'needs root'},
      ],
    })
    assert.match(text, /^one: a title\n/u)
    assert.match(text, /one call .* ours .* 3\.00 us .* 9\.00 us .* 1\.00 us .* 3\.00 .* <= 2\.5 .* MISSED/u)
    assert.match(text, /\n\nleft out: two: needs root$/u)
  })
})
