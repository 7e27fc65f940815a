// (architecture, number) -> call, with the family's policy and state.

import type {ContainerDescription} from '../container.js'
import type {Policy} from '../policy.js'
import type {Abi, AnyCall, AnyFamily, Beginning, FamilyOptions} from '../family.js'
import {combine} from './combine.js'
import {AUDIT_ARCH, callNumber, machineAbis} from '../../kernel/calls/index.js'

/** A call of an enabled family, ready to be decided. */
export interface RegisteredCall {
  readonly call: AnyCall
  readonly family: AnyFamily
  readonly policy: unknown
  readonly state: unknown
}

/** Calls of every family that `policy` switches on, in the order of `families`: what the filter notifies. */
export function enabledCalls(families: readonly AnyFamily[], policy: Policy, options: FamilyOptions): AnyCall[] {
  const calls = families.flatMap((family) => {
    const part: unknown = family.select(policy)
    return part === undefined ? [] : family.calls(part, options)
  })
  // A call that several families take part in is one call for the filter, whatever each would look at.
  const byName = new Map<string, AnyCall>()
  for (const call of calls) {
    const other = byName.get(call.name)
    byName.set(call.name, other === undefined ? call : eitherOf(other, call))
  }
  return [...byName.values()]
}

function eitherOf({condition, ...call}: AnyCall, other: AnyCall): AnyCall {
  if (condition === undefined || other.condition === undefined) return call
  return {...call, condition: [...condition, ...other.condition]}
}

/** What one worker looks up. Family states are made here, so this is for a container that exists. */
export class Registry {
  readonly #byArch = new Map<number, Map<number, RegisteredCall>>()
  readonly #begin: ((enter: (action: () => void) => void) => Beginning | undefined)[] = []

  /** `shared`: what each family gives its workers, by name. */
  constructor(
    families: readonly AnyFamily[],
    policy: Policy,
    container: ContainerDescription,
    shared: Readonly<Record<string, unknown>> = {},
  ) {
    for (const family of families) {
      const part: unknown = family.select(policy)
      if (part === undefined) continue
      const state: unknown = family.start(part, container, shared[family.name])
      this.#begin.push((enter) => family.begin?.(part, state, enter))
      for (const call of family.calls(part, {rootless: container.rootless}))
        this.#add({call, family, policy: part, state})
    }
  }

  /** Architecture and number as seccomp_data has them; numbers of x32 carry their bit. */
  find(arch: number, number: number): RegisteredCall | undefined {
    return this.#byArch.get(arch)?.get(number >>> 0)
  }

  /** For the first worker, before the command starts. */
  begin(enter: (action: () => void) => void): Beginning {
    const beginnings = this.#begin.flatMap((begin) => begin(enter) ?? [])
    return {
      entries: beginnings.flatMap(({entries}) => entries),
      notes: beginnings.flatMap(({notes}) => notes),
    }
  }

  #add(registered: RegisteredCall): void {
    for (const abi of machineAbis(process.arch)) {
      const number = callNumber(abi, registered.call)
      if (number === undefined) continue
      const calls = this.#callsOf(abi)
      const other = calls.get(number)
      if (other?.family === registered.family) throw new Error(`${registered.call.name} is declared twice`)
      calls.set(number, other === undefined ? registered : {...other, call: combine(other, registered)})
    }
  }

  #callsOf(abi: Abi): Map<number, RegisteredCall> {
    const arch = AUDIT_ARCH[abi]
    let calls = this.#byArch.get(arch)
    if (calls === undefined) {
      calls = new Map()
      this.#byArch.set(arch, calls)
    }
    return calls
  }
}
