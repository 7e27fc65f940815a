// What the present flags would intercept: each family with its condition, policy, strategies and cost.

import {actionOf} from '../intercept/filter/bpf.js'
import type {Program} from '../intercept/filter/bpf.js'
import {runProgram} from '../intercept/filter/bpf-vm.js'
import {notifyFilter, showComparison} from '../intercept/filter/filter.js'
import type {Policy} from '../intercept/policy.js'
import type {Abi, AnyCall, AnyFamily, FamilyOptions, Strategy} from '../intercept/family.js'
import {AUDIT_ARCH, callNumber, machineAbis, syscallNames, syscallNumber} from '../kernel/calls/index.js'
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
  /** What it adds to the notify filter; undefined where it is off. */
  readonly cost: FilterCost | undefined
}

export interface FilterCost {
  readonly instructions: number
  /** That run for a call which passes, on average over the calls of the native ABI. */
  readonly passing: number
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
  const enabled = families.flatMap((family) => callsOf(family, policy, options))
  return {
    families: families
      .map((family) => describeFamily(family, policy, options, abis, enabled))
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
  all: readonly AnyCall[],
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
    calls: callsOf(family, policy, options).map((call) => describeCall(call, abis)),
    cost: part === undefined ? undefined : filterCost(callsOf(family, policy, options), all, abis),
  }
}

function callsOf(family: AnyFamily, policy: Policy, options: FamilyOptions): readonly AnyCall[] {
  const part: unknown = family.select(policy)
  return part === undefined ? [] : family.calls(part, options)
}

/** The filter as it is, less the one without these calls. */
function filterCost(own: readonly AnyCall[], all: readonly AnyCall[], abis: readonly Abi[]): FilterCost {
  const names = new Set(own.map(({name}) => name))
  const programs = [all, all.filter(({name}) => !names.has(name))].map((calls) => notifyFilter(calls, abis))
  const [withThem = 0, without = 0] = programs.map((program) => program?.instructions.length ?? 0)
  const [slower = 0, faster = 0] = programs.map((program) =>
    program === undefined ? 0 : costOf(program, abis[0] ?? 'x86_64').average,
  )
  return {instructions: withThem - without, passing: Math.round((slower - faster) * 10) / 10}
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
