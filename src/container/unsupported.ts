// What a policy asks for that can not work here, whatever the container does, in the one line that run tells.

import type {AnyFamily} from '../intercept/family.js'
import type {Policy} from '../intercept/policy.js'

/** One line, or none. */
export function unsupportedNotes(families: readonly AnyFamily[], policy: Policy, rootless: boolean): readonly string[] {
  const found = families.flatMap((family) => {
    const part: unknown = family.select(policy)
    return part === undefined ? [] : (family.unsupported?.(part, {rootless}) ?? [])
  })
  if (found.length === 0) return []
  const told = [...new Map(found.map((each) => [each.flags, each])).values()]
  const why = told.map(({flags, text}) => `${flags} can not work here: ${text}`).join('; ')
  return [`${why}; for more: interceptor check ${told.map(({flags}) => flags).join(' ')}`]
}
