// What the present flags would intercept: each family with its condition, policy, strategies and cost.

import type {Composition} from '../intercept/composition.js'
import type {AnyCall, AnyFamily, Strategy} from '../intercept/family.js'
import {runProgram} from '../intercept/filter/bpf-vm.js'
import {actionOf} from '../intercept/filter/bpf.js'
import type {Program} from '../intercept/filter/bpf.js'
import {showComparison} from '../intercept/filter/filter.js'
import {ABIS} from '../kernel/abi.js'
import type {Abi} from '../kernel/abi.js'
import {callNumber, syscallNames, syscallNumber} from '../kernel/calls/index.js'
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

/** `families`: those that there are, on or off. */
export function overview(families: readonly AnyFamily[], composition: Composition): Overview {
  const {abis, deny, notify} = composition
  const filters = [
    {name: 'deny' as const, program: deny},
    ...(notify === undefined ? [] : [{name: 'notify' as const, program: notify}]),
  ]
  return {
    families: families
      .map((family) => describeFamily(family, composition))
      .filter(({flag, enabled}) => flag !== '' || enabled),
    filters: filters.map(({name, program}) => ({
      name,
      instructions: program.instructions.length,
      passing: costOf(program, abis[0] ?? 'x86_64'),
    })),
  }
}

function describeFamily(family: AnyFamily, composition: Composition): FamilyOverview {
  const {name, summary, flag, lxdKeys, strategies} = family
  const enabled = composition.families.find((each) => each.family === family)
  const rules = applyRules(enabled?.policy, () => ({kind: 'continue', reason: ''}))
  const members = [...new Set(rules.map(({member}) => member))]
  const own = [...composition.calls.values()].flatMap(({parts}) => parts.filter((part) => part.family === family))
  return {
    name,
    summary,
    flag,
    enabled: enabled !== undefined,
    lxdKeys,
    strategies,
    policy: members.map((member) => ({
      member,
      entries: rules.filter((rule) => rule.member === member).map(({entry}) => entry),
    })),
    calls: own.map(({call}) => describeCall(call, composition.abis)),
    cost: enabled === undefined ? undefined : filterCost(composition, composition.without(name)),
  }
}

/** The filter as it is, less the one without the family. */
function filterCost(whole: Composition, without: Composition): FilterCost {
  const [abi = 'x86_64'] = whole.abis
  const [more, less] = [whole.notify, without.notify].map((program) => ({
    instructions: program?.instructions.length ?? 0,
    passing: program === undefined ? 0 : costOf(program, abi).average,
  })) as [FilterCost, FilterCost]
  return {
    instructions: more.instructions - less.instructions,
    passing: Math.round((more.passing - less.passing) * 10) / 10,
  }
}

function describeCall({name, number, condition, lane = 'hot', precheck}: AnyCall, abis: readonly Abi[]): CallOverview {
  return {
    name,
    abis: abis.filter((abi) => callNumber(abi, {name, number}) !== undefined),
    condition: (condition ?? []).map((group) => group.map(showComparison).join(' and ')),
    lane,
    followUp: precheck !== undefined,
  }
}

function costOf({instructions}: Program, abi: Abi): {average: number; most: number} {
  const lengths = syscallNames(abi).flatMap((name) => {
    const number = syscallNumber(abi, name) ?? 0
    const data = {number, arch: ABIS[abi].auditArch, instructionPointer: 0n, arguments: [0n, 0n, 0n, 0n, 0n, 0n]}
    const {value, path} = runProgram(instructions, data)
    return actionOf(value).kind === 'allow' ? [path.length] : []
  })
  const sum = lengths.reduce((total, length) => total + length, 0)
  return {average: Math.round((sum / lengths.length) * 10) / 10, most: Math.max(...lengths)}
}
