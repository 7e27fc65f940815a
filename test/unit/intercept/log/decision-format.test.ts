import assert from 'node:assert/strict'

import fc from 'fast-check'

import type {Decision} from '../../../../src/intercept/decision.js'
import {DecisionDecoder} from '../../../../src/intercept/log/decision-decoder.js'
import {DecisionEncoder} from '../../../../src/intercept/log/decision-encoder.js'
import {LENGTH_BYTES, RECORD_MAX} from '../../../../src/intercept/log/decision-format.js'
import {decision} from '../../../helpers/decisions.js'

const text = fc.oneof(
  fc.string({unit: 'binary'}),
  fc.constantFrom('a\ud800', '\udc80', '', 'é', '\u2028', 'x'.repeat(300)),
)
const bytes = fc.uint8Array().map((value) => Buffer.from(value))
const plain = {noNullPrototype: true}
const value = fc.oneof(
  text,
  bytes,
  fc.double(),
  fc.integer(),
  fc.boolean(),
  fc.bigInt(),
  fc.constantFrom(null, undefined),
  fc.array(fc.integer()),
  fc.record({address: fc.nat(), name: text, bytes}, plain),
)
const changes = fc.record(
  {
    timeMs: fc.double(),
    latencyUs: fc.double(),
    gid: fc.nat(2 ** 32 - 1),
    comm: text,
    syscall: text,
    values: fc.option(
      fc.dictionary(
        fc.string({minLength: 3, maxLength: 8}).filter((name) => name !== '__proto__'),
        value,
        plain,
      ),
      {nil: undefined},
    ),
    registers: fc.option(fc.array(fc.bigInt({min: 0n, max: 2n ** 64n - 1n}), {maxLength: 6}), {nil: undefined}),
    outcome: fc.constantFrom<Decision['outcome'][]>('continued', 'emulated', 'failed', 'refused'),
    strategy: fc.option(text),
    result: fc.option(fc.integer()),
    reason: text,
    hint: fc.option(fc.oneof(fc.record({advice: text}, plain), fc.record({flag: text, value: text}, plain))),
    created: fc.constantFrom(undefined, {kind: 'node' as const, path: Buffer.from('/x'), strategy: 'node', major: 1}),
  },
  plain,
)

describe('decisions as bytes', () => {
  it('are the same decisions afterwards', () => {
    fc.assert(
      fc.property(fc.array(changes, {maxLength: 20}), (list) => {
        const encoder = new DecisionEncoder()
        const given = list.map((one) => decision(one as Partial<Decision>))
        const records = given.map((one) => Buffer.from(encoder.decision(one)))
        const {batch, length} = new DecisionDecoder().decode(Buffer.concat(records))
        // Byte strings come back as buffers, whatever they were.
        const expected = given.map((one, index) =>
          'values' in list[index]! ? one : {...one, values: {...one.values, pathname: Buffer.from('dev/null')}},
        )
        assert.deepEqual(batch.decisions, expected)
        assert.equal(length, Buffer.concat(records).length)
      }),
    )
  })

  it('are told apart from those that are only counted, and from silent ones', () => {
    const encoder = new DecisionEncoder()
    const counted = {latencyUs: 1.5, outcome: 'emulated' as const, syscall: 'sysinfo'}
    const records: Buffer[] = []
    // Each record lies where the one before it was.
    for (let round = 0; round < 2; round++) {
      records.push(Buffer.from(encoder.counted(counted)))
      records.push(Buffer.from(encoder.silent('chmod', 3)))
    }
    const {batch} = new DecisionDecoder().decode(Buffer.concat(records))
    assert.deepEqual(batch, {decisions: [counted, counted], silent: {chmod: 6}})
  })

  it('wait for the rest of a record', () => {
    const encoder = new DecisionEncoder()
    const both = Buffer.concat([Buffer.from(encoder.silent('chmod', 1)), Buffer.from(encoder.silent('chown', 1000))])
    const decoder = new DecisionDecoder()
    const {batch, length} = decoder.decode(both.subarray(0, both.length - 1))
    assert.deepEqual(batch.silent, {chmod: 1})
    assert.deepEqual(decoder.decode(both.subarray(length)).batch.silent, {chown: 1000})
  })

  it('remember a bounded number of strings', () => {
    const encoder = new DecisionEncoder()
    const decoder = new DecisionDecoder()
    for (let index = 0; index < 5000; index++) {
      const [comm, reason] = [`comm ${index}`, `reason ${index % 7}`]
      const {batch} = decoder.decode(Buffer.from(encoder.decision(decision({comm, reason}))))
      const [back] = batch.decisions as readonly Decision[]
      assert.deepEqual([back?.comm, back?.reason], [comm, reason])
    }
  })

  it('go without their arguments where these are too large', () => {
    const encoder = new DecisionEncoder()
    const decoder = new DecisionDecoder()
    const given = [
      decision({comm: 'new', values: {pathname: Buffer.alloc(RECORD_MAX)}}),
      decision({values: {pathname: Buffer.alloc(1)}, reason: 'r'.repeat(RECORD_MAX)}),
      decision({comm: 'new', values: {pathname: Buffer.alloc(RECORD_MAX - 1000)}}),
    ]
    const back = given.map((one) => {
      const record = Buffer.from(encoder.decision(one))
      assert.ok(record.length <= LENGTH_BYTES + RECORD_MAX)
      return decoder.decode(record).batch.decisions[0] as Decision
    })
    const note = '; its arguments are too large for the log'
    assert.deepEqual(
      back.map(({comm, reason, values}) => [comm, reason, values === undefined]),
      [
        ['new', `/dev/null is allowlisted${note}`, true],
        ['mknod', `${'r'.repeat(1024)}${note}`, true],
        ['new', '/dev/null is allowlisted', false],
      ],
    )
  })
})
