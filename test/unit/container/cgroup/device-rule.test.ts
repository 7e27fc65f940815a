import assert from 'node:assert/strict'

import fc from 'fast-check'

import type {DeviceRule} from '../../../../src/intercept/preparation.js'
import {BASE_DEVICES, deviceProgram, showDeviceRule} from '../../../../src/container/cgroup/device-rule.js'

interface Access {
  readonly type: 'b' | 'c'
  readonly major: number
  readonly minor: number
  readonly access: string
}

const BITS: Readonly<Record<string, number>> = {m: 1, r: 2, w: 4}

/** Runs the program as the kernel would, for the few instructions that it may hold. */
function run(program: Buffer, {type, major, minor, access}: Access): number {
  const wanted = access.split(/(?=.)/).reduce((bits, letter) => bits | BITS[letter]!, 0)
  const context = new Map([
    [0, (wanted << 16) | (type === 'b' ? 1 : 2)],
    [4, major],
    [8, minor],
  ])
  const registers = Array.from({length: 11}, () => 0)
  for (let at = 0, steps = 0; steps < 10_000; at++, steps++) {
    const step = program.subarray(at * 8, at * 8 + 8)
    const [opcode, both] = [step[0]!, step[1]!]
    const [destination, source] = [both & 15, both >> 4]
    const [offset, immediate] = [step.readInt16LE(2), step.readInt32LE(4)]
    if (opcode === 0x61) registers[destination] = context.get(offset)!
    else if (opcode === 0xbc) registers[destination] = registers[source]!
    else if (opcode === 0xb7) registers[destination] = immediate
    else if (opcode === 0x54) registers[destination] = registers[destination]! & immediate
    else if (opcode === 0x74) registers[destination] = registers[destination]! >>> immediate
    else if (opcode === 0x55) at += registers[destination] === immediate ? 0 : offset
    else if (opcode === 0x95) return registers[0]!
    else assert.fail(`instruction ${opcode}`)
  }
  return assert.fail('the program does not end')
}

function allows(rules: readonly DeviceRule[], asked: Access): boolean {
  return rules.some(
    (rule) =>
      (rule.type === 'a' || rule.type === asked.type) &&
      (rule.major === '*' || rule.major === asked.major) &&
      (rule.minor === '*' || rule.minor === asked.minor) &&
      asked.access.split(/(?=.)/).every((letter) => rule.access.includes(letter)),
  )
}

describe('deviceProgram', () => {
  it('allows what every container needs and no console', () => {
    const program = deviceProgram(BASE_DEVICES)
    const rows: readonly (readonly [Access, number])[] = [
      [{type: 'c', major: 1, minor: 3, access: 'rw'}, 1],
      [{type: 'c', major: 136, minor: 1_048_575, access: 'rw'}, 1],
      [{type: 'c', major: 5, minor: 2, access: 'r'}, 1],
      [{type: 'c', major: 5, minor: 1, access: 'r'}, 0],
      [{type: 'b', major: 1, minor: 3, access: 'r'}, 0],
      [{type: 'c', major: 1, minor: 3, access: 'm'}, 0],
      [{type: 'b', major: 7, minor: 0, access: 'r'}, 0],
    ]
    for (const [asked, expected] of rows) assert.equal(run(program, asked), expected, JSON.stringify(asked))
  })

  it('allows exactly what its rules allow', () => {
    const number = fc.integer({min: 0, max: 3})
    const access = fc.subarray(['r', 'w', 'm'], {minLength: 1}).map((letters) => letters.join(''))
    const rule: fc.Arbitrary<DeviceRule> = fc.record({
      type: fc.constantFrom('a' as const, 'b' as const, 'c' as const),
      major: fc.oneof(fc.constant('*' as const), number),
      minor: fc.oneof(fc.constant('*' as const), number),
      access,
    })
    const asked: fc.Arbitrary<Access> = fc.record({
      type: fc.constantFrom('b' as const, 'c' as const),
      major: number,
      minor: number,
      access,
    })
    fc.assert(
      fc.property(fc.array(rule, {maxLength: 6}), asked, (rules, question) => {
        assert.equal(run(deviceProgram(rules), question), allows(rules, question) ? 1 : 0)
      }),
      {numRuns: 1000},
    )
  })

  it('refuses an access letter that there is not', () => {
    assert.throws(() => deviceProgram([{type: 'c', major: 1, minor: 3, access: 'rx'}]), RangeError)
  })
})

describe('showDeviceRule', () => {
  it('writes a rule as devices.allow takes it', () => {
    assert.equal(showDeviceRule({type: 'c', major: 136, minor: '*', access: 'rw'}), 'c 136:* rw')
  })
})
