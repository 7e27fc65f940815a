// (architecture, number) -> call, with the policy and the state that it is asked with.

import {ABIS} from '../../kernel/abi.js'
import {callNumber} from '../../kernel/calls/index.js'
import type {Composition} from '../composition.js'
import type {ContainerDescription} from '../container.js'
import type {AnyCall, AnyFamily, Restored} from '../family.js'

/** A call of an enabled family, ready to be decided. */
export interface RegisteredCall {
  readonly call: AnyCall
  readonly policy: unknown
  readonly state: unknown
}

/** What one worker looks up. Family states are made here, so this is for a container that exists. */
export class Registry {
  readonly #byArch = new Map<number, Map<number, RegisteredCall>>()
  readonly #restore: ((enter: (action: () => void) => void) => Restored | undefined)[] = []

  /** `shared`: what each family gives its workers, by name. */
  constructor(
    composition: Composition,
    container: ContainerDescription,
    shared: Readonly<Record<string, unknown>> = {},
  ) {
    const states = new Map<AnyFamily, unknown>()
    for (const {family, policy} of composition.families) {
      const state: unknown = family.start(policy, container, shared[family.name])
      states.set(family, state)
      this.#restore.push((enter) => family.restore?.(policy, state, enter))
    }
    for (const {call, parts} of composition.calls.values()) {
      const [first, ...others] = parts.map(({family, policy}) => ({policy, state: states.get(family)}))
      // A combined call knows the policies of its parts.
      const registered =
        others.length === 0
          ? {...first!, call}
          : {call, policy: undefined, state: [first, ...others].map((part) => part?.state)}
      this.#add(registered, composition)
    }
  }

  /** Architecture and number as seccomp_data has them; numbers of x32 carry their bit. */
  find(arch: number, number: number): RegisteredCall | undefined {
    return this.#byArch.get(arch)?.get(number >>> 0)
  }

  /** For the first worker, before the command starts. */
  restore(enter: (action: () => void) => void): Restored {
    const restored = this.#restore.flatMap((restore) => restore(enter) ?? [])
    return {
      entries: restored.flatMap(({entries}) => entries),
      notes: restored.flatMap(({notes}) => notes),
    }
  }

  #add(registered: RegisteredCall, {abis}: Composition): void {
    for (const abi of abis) {
      const number = callNumber(abi, registered.call)
      if (number === undefined) continue
      const arch = ABIS[abi].auditArch
      const calls = this.#byArch.get(arch) ?? new Map<number, RegisteredCall>()
      this.#byArch.set(arch, calls)
      if (calls.has(number)) throw new Error(`${registered.call.name} has the number of another call`)
      calls.set(number, registered)
    }
  }
}
