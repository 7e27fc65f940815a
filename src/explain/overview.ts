// What the present flags would intercept: each family with its condition, policy, strategies and cost.

import {actionOf} from '../intercept/bpf.js'
import type {Program} from '../intercept/bpf.js'
import {runProgram} from '../intercept/bpf-vm.js'
import {showComparison} from '../intercept/filter.js'
import type {Policy} from '../intercept/policy.js'
import type {Abi, AnyCall, AnyFamily, FamilyOptions, Strategy} from '../intercept/syscall.js'
import {AUDIT_ARCH, callNumber, machineAbis, syscallNames, syscallNumber} from '../intercept/tables/index.js'
import type {Judge} from './judge.js'
import {applyRules} from './rules.js'

export interface CallOverview {
  readonly name: string
  readonly abis: readonly Abi[]
  /** Any one line suffices; empty: every call is notified. */
  readonly condition: readonly string[]
  readonly lane: 'handler' | 'hot' | 'slow'
  /** Only looked at once something was emulated. */
  readonly followUp: boolean
}

export interface FamilyOverview {
  readonly name: AnyFamily['name']
  readonly summary: string
  readonly flag: string
  readonly enabled: boolean
  readonly lxdKeys: readonly string[]
  readonly strategies: readonly Strategy[]
  readonly policy: readonly {readonly member: string; readonly entries: readonly string[]}[]
  readonly calls: readonly CallOverview[]
}

export interface FilterOverview {
  readonly name: 'deny' | 'notify'
  readonly instructions: number
  /** Instructions that run for a call that passes: on average over the calls of the native ABI, and at most. */
  readonly passing: {readonly average: number; readonly most: number}
}

export interface Overview {
  readonly families: readonly FamilyOverview[]
  readonly filters: readonly FilterOverview[]
}

export function overview(
  families: readonly AnyFamily[],
  policy: Policy,
  judge: Judge,
  options: FamilyOptions,
  abis: readonly Abi[] = machineAbis(process.arch),
): Overview {
  const filters = [
    {name: 'deny' as const, program: judge.deny},
    ...(judge.notify === undefined ? [] : [{name: 'notify' as const, program: judge.notify}]),
  ]
  return {
    families: families
      .map((family) => describeFamily(family, policy, options, abis))
      .filter(({flag, enabled}) => flag !== '' || enabled),
    filters: filters.map(({name, program}) => ({
      name,
      instructions: program.instructions.length,
      passing: costOf(program, abis[0] ?? 'x86_64'),
    })),
  }
}

function describeFamily(
  family: AnyFamily,
  policy: Policy,
  options: FamilyOptions,
  abis: readonly Abi[],
): FamilyOverview {
  const part: unknown = family.select(policy)
  const {name, summary, flag, lxdKeys, strategies} = family
  const rules = applyRules(part, () => ({kind: 'continue', reason: ''}))
  const members = [...new Set(rules.map(({member}) => member))]
  return {
    name,
    summary,
    flag,
    enabled: part !== undefined,
    lxdKeys,
    strategies,
    policy: members.map((member) => ({
      member,
      entries: rules.filter((rule) => rule.member === member).map(({entry}) => entry),
    })),
    calls: part === undefined ? [] : family.calls(part, options).map((call) => describeCall(call, abis)),
  }
}

function describeCall({name, number, condition, lane = 'hot', early}: AnyCall, abis: readonly Abi[]): CallOverview {
  return {
    name,
    abis: abis.filter((abi) => callNumber(abi, {name, number}) !== undefined),
    condition: (condition ?? []).map((group) => group.map(showComparison).join(' and ')),
    lane,
    followUp: early !== undefined,
  }
}

function costOf({instructions}: Program, abi: Abi): {average: number; most: number} {
  const lengths = syscallNames(abi).flatMap((name) => {
    const number = syscallNumber(abi, name) ?? 0
    const data = {number, arch: AUDIT_ARCH[abi], instructionPointer: 0n, arguments: [0n, 0n, 0n, 0n, 0n, 0n]}
    const {value, path} = runProgram(instructions, data)
    return actionOf(value).kind === 'allow' ? [path.length] : []
  })
  const sum = lengths.reduce((total, length) => total + length, 0)
  return {average: Math.round((sum / lengths.length) * 10) / 10, most: Math.max(...lengths)}
}
