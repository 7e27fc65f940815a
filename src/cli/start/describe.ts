// The declared arguments of the calls that a policy intercepts, for showing them.

import {FAMILIES} from '../../intercept/families/index.js'
import type {Policy} from '../../intercept/policy.js'
import {enabledCalls} from '../../intercept/engine/registry.js'
import type {AnyFamily, Arguments} from '../../intercept/family.js'

/** A call that is only intercepted for one of the two ways to be started is known to both. */
export function describeCalls(
  policy: Policy,
  families: readonly AnyFamily[] = FAMILIES,
): (syscall: string) => Arguments | undefined {
  let byName: ReadonlyMap<string, Arguments> | undefined
  const read = (): ReadonlyMap<string, Arguments> => {
    const calls = [true, false].flatMap((rootless) => enabledCalls(families, policy, {rootless}))
    return new Map(calls.map((call) => [call.name, call.arguments as Arguments]))
  }
  return (syscall) => (byName ??= read()).get(syscall)
}
