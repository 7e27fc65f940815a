// The compiled filters against a plain evaluation of their rules, in our own machine.

import assert from 'node:assert/strict'

import fc from 'fast-check'

import type {Comparison, Condition} from '../../../../src/intercept/family.js'
import {checkProgram, runProgram} from '../../../../src/intercept/filter/bpf-vm.js'
import type {SeccompData} from '../../../../src/intercept/filter/bpf-vm.js'
import {actionOf} from '../../../../src/intercept/filter/bpf.js'
import type {Action} from '../../../../src/intercept/filter/bpf.js'
import {
  FilterTooLong,
  compileFilter,
  denyFilter,
  denyRules,
  notifyFilter,
  rulesFor,
} from '../../../../src/intercept/filter/filter.js'
import type {Rule} from '../../../../src/intercept/filter/filter.js'
import {ABIS, X32_SYSCALL_BIT, abiOf} from '../../../../src/kernel/abi.js'
import type {Abi} from '../../../../src/kernel/abi.js'
import {syscallNumber} from '../../../../src/kernel/calls/index.js'

const X86: readonly Abi[] = ['x86_64', 'i386', 'x32']
const ARM: readonly Abi[] = ['aarch64', 'arm']
const ENOSYS = 38

function holds({argument, width, mask, operator, value}: Comparison, data: SeccompData): boolean {
  const compat = data.arch === ABIS.i386.auditArch || data.arch === ABIS.arm.auditArch
  const register = BigInt.asUintN(compat ? 32 : 64, data.arguments[argument] ?? 0n)
  const left = BigInt.asUintN(width, register & (mask ?? -1n))
  const right = BigInt.asUintN(width, value)
  switch (operator) {
    case 'eq':
      return left === right
    case 'ne':
      return left !== right
    case 'gt':
      return left > right
    case 'ge':
      return left >= right
    case 'lt':
      return left < right
    case 'le':
      return left <= right
  }
}

/** What the rules say, without any cleverness. */
function evaluate(rules: readonly Rule[], abis: readonly Abi[], otherwise: Action, data: SeccompData): Action {
  const abi = abiOf(data.arch, data.number)
  const known = abis.some((each) => ABIS[each].auditArch === data.arch)
  if (!known || abi === undefined) return {kind: 'errno', errno: ENOSYS}
  const rule = rules.find(
    (each) =>
      each.abi === abi &&
      each.number === data.number &&
      (each.condition === undefined || each.condition.some((group) => group.every((one) => holds(one, data)))),
  )
  return rule?.action ?? otherwise
}

// Few values, so that rules and calls meet often; halves are mixed so that junk above the low half is common.
const half = fc.constantFrom(0n, 1n, 2n, 0x5412n, 0x7fff_ffffn, 0x8000_0000n, 0xffff_fffen, 0xffff_ffffn)
const value64 = fc.oneof(
  fc.tuple(half, half).map(([high, low]) => (high << 32n) | low),
  fc.bigInt({min: 0n, max: 0xffff_ffff_ffff_ffffn}),
)
const comparison: fc.Arbitrary<Comparison> = fc
  .record({
    argument: fc.constantFrom<Comparison['argument']>(0, 1, 2, 3, 4, 5),
    width: fc.constantFrom<32 | 64>(32, 64),
    mask: fc.option(value64, {nil: undefined}),
    operator: fc.constantFrom<Comparison['operator']>('eq', 'ge', 'gt', 'le', 'lt', 'ne'),
    value: fc.oneof(value64, fc.constantFrom(-100n, -1n)),
  })
  .map(({mask, ...rest}) => (mask === undefined ? rest : {...rest, mask}))
const condition: fc.Arbitrary<Condition> = fc.array(fc.array(comparison, {minLength: 1, maxLength: 3}), {
  minLength: 1,
  maxLength: 3,
})
const action: fc.Arbitrary<Action> = fc.oneof(
  fc.constantFrom<Action>({kind: 'notify'}, {kind: 'allow'}, {kind: 'kill-process'}, {kind: 'log'}),
  fc.integer({min: 0, max: 4095}).map((errno): Action => ({kind: 'errno', errno})),
)
const small = fc.integer({min: 0, max: 60})

function rule(abis: readonly Abi[]): fc.Arbitrary<Rule> {
  return fc
    .record({abi: fc.constantFrom(...abis), number: small, condition: fc.option(condition, {nil: undefined}), action})
    .map(({abi, number, condition: only, action: then}) => ({
      abi,
      number: abi === 'x32' ? number + X32_SYSCALL_BIT : number,
      action: then,
      ...(only === undefined ? {} : {condition: only}),
    }))
}

const data: fc.Arbitrary<SeccompData> = fc.record({
  number: fc.oneof(
    small,
    small.map((number) => number + X32_SYSCALL_BIT),
    fc.constantFrom(0xffff_ffff, 0x8000_0000),
  ),
  arch: fc.constantFrom(...Object.values(ABIS).map(({auditArch}) => auditArch), 0xc000_00f3, 0),
  instructionPointer: fc.constant(0n),
  arguments: fc.array(value64, {minLength: 6, maxLength: 6}),
})

/** A call that a rule of the set is about, so that its condition is what decides. */
function aimed(rules: readonly Rule[]): fc.Arbitrary<SeccompData> {
  if (rules.length === 0) return data
  return fc
    .tuple(data, fc.constantFrom(...rules))
    .map(([call, {abi, number}]) => ({...call, number, arch: ABIS[abi].auditArch}))
}

describe('compileFilter', () => {
  for (const [machine, abis] of Object.entries({x86: X86, arm: ARM})) {
    it(`answers as its rules say, on ${machine}`, () => {
      const sets = fc.array(rule(abis), {maxLength: 40}).chain((rules) =>
        fc.record({
          rules: fc.constant(rules),
          otherwise: action,
          calls: fc.array(fc.oneof(data, aimed(rules)), {minLength: 1, maxLength: 30}),
        }),
      )
      fc.assert(
        fc.property(sets, ({rules, otherwise, calls}) => {
          const {instructions} = compileFilter(rules, {abis, otherwise})
          checkProgram(instructions)
          for (const call of calls) {
            const run = runProgram(instructions, call)
            assert.deepEqual(actionOf(run.value), evaluate(rules, abis, otherwise, call))
            const loads = new Set(run.path)
            assert.equal(loads.size, run.path.length, 'no instruction runs twice')
          }
        }),
        {numRuns: 300},
      )
    })
  }

  it('reaches targets that lie farther than an 8-bit offset', () => {
    const ge = (value: number): Condition => [
      [{argument: 0, width: 64, operator: 'eq', value: BigInt(value) + 0x1_0000_0000n}],
    ]
    const rules = Array.from({length: 700}, (_, index): Rule => {
      const abi = X86[index % 3] ?? 'i386'
      const number = (index >> 4) + (abi === 'x32' ? X32_SYSCALL_BIT : 0)
      return {abi, number, condition: ge(index), action: {kind: 'errno', errno: index % 4000}}
    })
    const {instructions} = compileFilter(rules, {abis: X86})
    assert.ok(instructions.length > 2000)
    checkProgram(instructions)
    for (const [index, {abi, number}] of rules.entries()) {
      for (const value of [index, index + 1]) {
        const registers = [BigInt(value) + 0x1_0000_0000n, 0n, 0n, 0n, 0n, 0n]
        const call = {number, arch: ABIS[abi].auditArch, instructionPointer: 0n, arguments: registers}
        assert.deepEqual(actionOf(runProgram(instructions, call).value), evaluate(rules, X86, {kind: 'allow'}, call))
      }
    }
  })

  it('refuses a program that the kernel would not take', () => {
    const rules = Array.from({length: 5000}, (_, number): Rule => ({
      abi: 'x86_64',
      number,
      action: {kind: 'errno', errno: number % 4000},
    }))
    assert.throws(() => compileFilter(rules, {abis: X86}), FilterTooLong)
  })

  it('needs few tests for a call, however many numbers there are', () => {
    const rules = Array.from({length: 400}, (_, number): Rule => ({abi: 'x86_64', number, action: {kind: 'notify'}}))
    const {instructions} = compileFilter(rules, {abis: ['x86_64']})
    for (let number = 0; number < 500; number++) {
      const call = {number, arch: ABIS.x86_64.auditArch, instructionPointer: 0n, arguments: []}
      assert.ok(runProgram(instructions, call).path.length <= 16)
    }
  })
})

describe('denyFilter', () => {
  const verdict = (abi: Abi, name: string, registers: readonly bigint[], modules = false): Action => {
    const abis = X86.includes(abi) ? X86 : ARM
    const number = syscallNumber(abi, name)
    assert.ok(number !== undefined)
    const call = {number, arch: ABIS[abi].auditArch, instructionPointer: 0n, arguments: registers}
    return actionOf(
      runProgram(
        denyFilter(denyRules({abis, answered: modules ? ['init_module', 'finit_module'] : []}), abis).instructions,
        call,
      ).value,
    )
  }
  const junk = 0xdead_beef_0000_0000n

  for (const abi of [...X86, ...ARM]) {
    it(`refuses to push characters into a terminal, on ${abi}`, () => {
      for (const request of [0x5412n, 0x541cn]) {
        assert.deepEqual(verdict(abi, 'ioctl', [0n, request]), {kind: 'errno', errno: 1})
        assert.deepEqual(verdict(abi, 'ioctl', [0n, request | junk]), {kind: 'errno', errno: 1})
      }
      assert.deepEqual(verdict(abi, 'ioctl', [0n, 0x5413n]), {kind: 'allow'})
    })

    it(`denies what LXD denies, on ${abi}`, () => {
      for (const name of ['kexec_load', 'open_by_handle_at', 'delete_module', 'init_module', 'finit_module']) {
        assert.deepEqual(verdict(abi, name, []), {kind: 'errno', errno: ENOSYS}, name)
      }
      for (const name of ['init_module', 'finit_module'])
        assert.deepEqual(verdict(abi, name, [], true), {kind: 'allow'})
      assert.deepEqual(verdict(abi, 'umount2', [0n, 3n | junk]), {kind: 'allow'})
    })
  }

  it('denies the numbers of the other 64-bit ABI too, as old kernels ran them', () => {
    const {instructions} = denyFilter(denyRules({abis: X86}), X86)
    const ioctls = [16, 514].flatMap((number) => [number, number + X32_SYSCALL_BIT])
    for (const number of ioctls) {
      const call = {number, arch: ABIS.x86_64.auditArch, instructionPointer: 0n, arguments: [0n, 0x5412n]}
      assert.deepEqual(actionOf(runProgram(instructions, call).value), {kind: 'errno', errno: 1})
    }
  })

  it('keeps the terminal safe when the default denylist is off', () => {
    const names = new Set(denyRules({abis: X86, configured: {rules: [], defaults: false}}).map((each) => each.name))
    assert.deepEqual([...names], ['ioctl'])
  })
})

describe('notifyFilter', () => {
  it('is absent when nothing is intercepted', () => {
    assert.equal(notifyFilter([], X86), undefined)
  })

  it('notifies the declared calls on every ABI that has them', () => {
    const device: Condition = [[{argument: 1, width: 32, mask: 0o170000n, operator: 'eq', value: 0o020000n}]]
    const program = notifyFilter([{name: 'mknod', condition: device}, {name: 'sysinfo'}], ARM)
    assert.ok(program !== undefined)
    const ask = (abi: Abi, number: number | undefined, mode: bigint): Action => {
      assert.ok(number !== undefined)
      const call = {number, arch: ABIS[abi].auditArch, instructionPointer: 0n, arguments: [0n, mode]}
      return actionOf(runProgram(program.instructions, call).value)
    }
    assert.deepEqual(ask('arm', syscallNumber('arm', 'mknod'), 0xffff_ffff_0000_21b6n), {kind: 'notify'})
    assert.deepEqual(ask('arm', syscallNumber('arm', 'mknod'), 0o100666n), {kind: 'allow'})
    assert.deepEqual(ask('aarch64', syscallNumber('aarch64', 'sysinfo'), 0n), {kind: 'notify'})
    assert.equal(rulesFor('mknod', {kind: 'notify'}, undefined, ['aarch64']).length, 0)
  })
})
