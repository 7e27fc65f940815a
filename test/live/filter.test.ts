// The kernel against our own machine: which programs it takes, and what it answers under them.

import assert from 'node:assert/strict'
import fc from 'fast-check'
import {ABIS, MACHINE_ABIS, X32_SYSCALL_BIT} from '../../src/kernel/abi.js'
import type {Abi} from '../../src/kernel/abi.js'
import {actionOf, encode} from '../../src/intercept/filter/bpf.js'
import type {Action, Instruction} from '../../src/intercept/filter/bpf.js'
import {InvalidProgram, checkProgram, runProgram} from '../../src/intercept/filter/bpf-vm.js'
import {compileFilter, denyFilter} from '../../src/intercept/filter/filter.js'
import type {Rule} from '../../src/intercept/filter/filter.js'
import type {Comparison} from '../../src/intercept/family.js'
import {syscallNumber} from '../../src/kernel/calls/index.js'
import {askKernel, buildLoader} from '../helpers/filter-loader.js'
import type {LoaderCall} from '../helpers/filter-loader.js'

const ENOSYS = 38
/** Numbers that no kernel has: ENOSYS when the filter lets them pass. */
const FIRST_UNUSED = 1000

const half = fc.constantFrom(0n, 1n, 2n, 0x7fff_ffffn, 0x8000_0000n, 0xffff_ffffn)
const value64 = fc.tuple(half, half).map(([high, low]) => (high << 32n) | low)
const comparison: fc.Arbitrary<Comparison> = fc.record({
  argument: fc.constantFrom<Comparison['argument']>(0, 1, 2, 3, 4, 5),
  width: fc.constantFrom<32 | 64>(32, 64),
  mask: value64,
  operator: fc.constantFrom<Comparison['operator']>('eq', 'ge', 'gt', 'le', 'lt', 'ne'),
  value: value64,
})
const rule = (abis: readonly Abi[]): fc.Arbitrary<Rule> =>
  fc
    .record({
      abi: fc.constantFrom(...abis),
      number: fc.integer({min: 0, max: 6}),
      condition: fc.array(fc.array(comparison, {minLength: 1, maxLength: 2}), {minLength: 1, maxLength: 2}),
      action: fc.integer({min: 200, max: 4095}).map((errno): Action => ({kind: 'errno', errno})),
    })
    .map((each) => ({...each, number: number(each.abi, each.number)}))
const call = (abis: readonly Abi[]): fc.Arbitrary<LoaderCall & {readonly abi: Abi}> =>
  fc
    .record({
      abi: fc.constantFrom(...abis),
      number: fc.integer({min: 0, max: 6}),
      registers: fc.array(value64, {minLength: 6, maxLength: 6}),
    })
    .map((each) => ({...each, legacy: each.abi === 'i386', number: number(each.abi, each.number)}))

function number(abi: Abi, index: number): number {
  return FIRST_UNUSED + index + (abi === 'x32' ? X32_SYSCALL_BIT : 0)
}

/** What the kernel would return for an unused number. */
function predict(instructions: readonly Instruction[], abi: Abi, asked: LoaderCall): number {
  const data = {number: asked.number, arch: ABIS[abi].auditArch, instructionPointer: 0n, arguments: asked.registers}
  const action = actionOf(runProgram(instructions, data).value)
  return action.kind === 'errno' ? -action.errno : -ENOSYS
}

describe('filters in the kernel', () => {
  let loader = ''
  let abis: readonly Abi[] = []

  before(() => {
    loader = buildLoader()
    // int 0x80 is a fault where the kernel has no 32-bit entry (ia32_emulation=0), and always on other machines.
    const probe: LoaderCall = {legacy: true, number: FIRST_UNUSED, registers: []}
    const [answer] = askKernel(loader, [{bytes: compileFilter([]).bytes, calls: [probe]}])
    const legacy = process.arch === 'x64' && answer?.results[0] === -ENOSYS
    abis = MACHINE_ABIS.filter((abi) => abi !== 'arm' && (abi !== 'i386' || legacy))
  })

  it('answer as our machine says, on every ABI', () => {
    const samples = fc.sample(
      fc.tuple(fc.array(rule(abis), {maxLength: 30}), fc.array(call(abis), {maxLength: 60})),
      300,
    )
    const programs = samples.map(([rules]) => compileFilter(rules))
    const answers = askKernel(
      loader,
      samples.map(([, calls], index) => ({bytes: programs[index]!.bytes, calls})),
    )
    assert.equal(answers.length, samples.length)
    let refused = 0
    for (const [index, {installed, results}] of answers.entries()) {
      assert.equal(installed, 0)
      const {instructions} = programs[index]!
      const expected = samples[index]![1].map((asked) => predict(instructions, asked.abi, asked))
      assert.deepEqual(results, expected)
      refused += expected.filter((result) => result !== -ENOSYS).length
    }
    assert.ok(refused > 100, 'the samples meet the rules')
  })

  it('are accepted exactly when our check passes', () => {
    const codes = [0x20, 0x80, 0x81, 0x00, 0x01, 0x60, 0x61, 0x02, 0x03, 0x04, 0x0c, 0x34, 0x3c, 0x54, 0x64, 0x6c, 0x74]
    const more = [0x84, 0x94, 0xa4, 0x05, 0x15, 0x1d, 0x25, 0x35, 0x45, 0x4d, 0x06, 0x0e, 0x16, 0x07, 0x87, 0x28, 0x30]
    const instruction = fc.record({
      code: fc.oneof({arbitrary: fc.constantFrom(...codes, ...more), weight: 20}, fc.integer({min: 0, max: 0xffff})),
      jt: fc.oneof({arbitrary: fc.constant(0), weight: 3}, fc.integer({min: 0, max: 4})),
      jf: fc.oneof({arbitrary: fc.constant(0), weight: 3}, fc.integer({min: 0, max: 4})),
      k: fc.constantFrom(0, 1, 3, 4, 8, 15, 16, 31, 32, 60, 64),
    })
    // The last one mostly returns an errno, else nearly every sample would fail for that alone.
    const end = fc.oneof(
      {arbitrary: fc.constantFrom(0x0005_00c8, 0x7fff_0000), weight: 8},
      fc.constantFrom(0x0005_ffff, 0x7ffc_0000),
    )
    const program = fc
      .tuple(fc.array(instruction, {maxLength: 6}), end)
      .map(([body, k]): Instruction[] => [...body, {code: 0x06, jt: 0, jf: 0, k}])
    const samples = fc.sample(program, 2000)
    const asked = {legacy: false, number: FIRST_UNUSED, registers: [5n, 0x1_0000_0002n, 3n, 4n, 5n, 6n]}
    const answers = askKernel(
      loader,
      samples.map((instructions) => ({bytes: encode(instructions), calls: [asked]})),
    )
    let accepted = 0
    for (const [index, instructions] of samples.entries()) {
      const {installed, results} = answers[index]!
      let valid = true
      try {
        checkProgram(instructions)
      } catch (error) {
        assert.ok(error instanceof InvalidProgram)
        valid = false
      }
      assert.equal(installed === 0, valid, JSON.stringify(instructions))
      if (!valid) continue
      accepted++
      const native = abis[0]!
      const data = {
        number: asked.number,
        arch: ABIS[native].auditArch,
        instructionPointer: 0n,
        arguments: asked.registers,
      }
      const {path, value} = runProgram(instructions, data)
      // The instruction pointer differs, and with it what a program makes of it.
      if (path.some((at) => instructions[at]?.code === 0x20 && [8, 12].includes(instructions[at].k))) continue
      const action = actionOf(value)
      if (action.kind.startsWith('kill') || action.kind === 'trap') assert.deepEqual(results, ['died'])
      else assert.deepEqual(results, [action.kind === 'errno' ? -action.errno : -ENOSYS], JSON.stringify(instructions))
    }
    assert.ok(accepted > 200 && accepted < 1800, `${accepted} of 2000 accepted`)
  })

  it('refuse to push characters into a terminal, with junk above the request', () => {
    const {bytes} = denyFilter()
    const calls = abis.map((abi) => ({
      legacy: abi === 'i386',
      number: syscallNumber(abi, 'ioctl') ?? -1,
      // A descriptor that is not open: EBADF would show that the filter let the call pass.
      registers: [9999n, 0xdead_beef_0000_5412n],
    }))
    const [answer] = askKernel(loader, [{bytes, calls}])
    assert.deepEqual(answer, {installed: 0, results: abis.map(() => -1)})
  })
})
