// A policy, and all that comes of it: which families are on, which calls they take part in, how each call is decided,
// and the two filters. run, exec, explain, check and the engine take it from here, so that they cannot differ.

import {MACHINE_ABIS} from '../kernel/abi.js'
import type {Abi} from '../kernel/abi.js'
import {combine} from './combine.js'
import type {Part} from './combine.js'
import type {AnyCall, AnyFamily, Arguments} from './family.js'
import {FAMILIES} from './families/index.js'
import type {Program} from './filter/bpf.js'
import {denyFilter, denyRules, notifyFilter} from './filter/filter.js'
import type {ConfiguredDenial, Rule} from './filter/filter.js'
import type {Policy} from './policy.js'

export interface CompositionRequest {
  readonly policy: Policy
  /** The supervisor is itself in a user namespace that an ordinary user made. */
  readonly rootless: boolean
  /** What a configuration file denies; undefined: the default denylist and no more. */
  readonly denied?: ConfiguredDenial | undefined
  /** Those that are shipped, when left out. */
  readonly families?: readonly AnyFamily[]
  /** Those of this machine, when left out. */
  readonly abis?: readonly Abi[]
}

/** A family that the policy switches on, with its part of the policy. */
export interface EnabledFamily {
  readonly family: AnyFamily
  readonly policy: unknown
}

/** What one family does about a call. */
export interface CallPart extends Part, EnabledFamily {}

export interface ComposedCall {
  /** What is asked: of one family its own call, of several their combination. */
  readonly call: AnyCall
  /** In the order in which they are asked; one for each family. */
  readonly parts: readonly CallPart[]
}

export class Composition {
  readonly policy: Policy
  readonly rootless: boolean
  readonly abis: readonly Abi[]
  /** Those that are on, in the order of all families. */
  readonly families: readonly EnabledFamily[]
  /** By the kernel's name. */
  readonly calls: ReadonlyMap<string, ComposedCall>
  readonly #request: CompositionRequest
  #deny: Program | undefined
  #notify: {readonly program: Program | undefined} | undefined

  /** @throws Error where a family declares a call twice, or families declare calls that can't be one */
  constructor(request: CompositionRequest) {
    const {policy, rootless, families = FAMILIES, abis = MACHINE_ABIS} = request
    this.#request = request
    this.policy = policy
    this.rootless = rootless
    this.abis = abis
    this.families = families.flatMap((family) => {
      const part: unknown = family.select(policy)
      return part === undefined ? [] : [{family, policy: part}]
    })
    this.calls = callsOf(this.families, rootless)
  }

  /** Names of calls that are answered before anything is intercepted, some of them under a condition. */
  get denied(): ReadonlySet<string> {
    return new Set(this.#denyRules().flatMap(({name}) => name ?? []))
  }

  /** What is refused whatever the policy says. Compiled when it is first asked for. */
  get deny(): Program {
    return (this.#deny ??= denyFilter(this.#denyRules(), this.abis))
  }

  /** What is handed to the supervisor; undefined where nothing is. Compiled when it is first asked for. */
  get notify(): Program | undefined {
    this.#notify ??= {
      program: notifyFilter(
        [...this.calls.values()].map(({call}) => call),
        this.abis,
      ),
    }
    return this.#notify.program
  }

  /** How the arguments of an intercepted call are read and shown; undefined for every other call. */
  argumentsOf(name: string): Arguments | undefined {
    return this.calls.get(name)?.call.arguments as Arguments | undefined
  }

  /** What this one allows and `given` does not, each as words for a person; empty where there is nothing. */
  beyond(given: Composition): readonly string[] {
    return this.families.flatMap(({family, policy}) => {
      // What is on with any other family allows nothing by itself.
      if (family.flag === '') return []
      const theirs = given.families.find((other) => other.family === family)
      return theirs === undefined ? [`${family.name}, which is off in it`] : family.policy.beyond(policy, theirs.policy)
    })
  }

  /** The same policy without this family, as if it did not exist. */
  without(name: AnyFamily['name']): Composition {
    const {families = FAMILIES} = this.#request
    return new Composition({...this.#request, families: families.filter((family) => family.name !== name)})
  }

  /** The same with code that is not ours, which only a worker of the lane `handler` may hold. */
  async withHandlers(): Promise<Composition> {
    const loaded = this.families.map(async ({family, policy}) => (await family.withHandlers?.(policy)) ?? family)
    return new Composition({...this.#request, families: await Promise.all(loaded)})
  }

  #denyRules(): readonly Rule[] {
    const {denied} = this.#request
    return denyRules({abis: this.abis, answered: [...this.calls.keys()], ...(denied && {configured: denied})})
  }
}

function callsOf(families: readonly EnabledFamily[], rootless: boolean): ReadonlyMap<string, ComposedCall> {
  const parts = new Map<string, CallPart[]>()
  for (const {family, policy} of families) {
    for (const call of family.calls(policy, {rootless})) {
      const known = parts.get(call.name) ?? []
      if (known.some((part) => part.family === family)) throw new Error(`${call.name} is declared twice`)
      parts.set(call.name, [...known, {family, policy, call}])
    }
  }
  return new Map(
    [...parts].map(([name, own]) => [name, {call: own.length === 1 ? own[0]!.call : combine(own), parts: own}]),
  )
}
