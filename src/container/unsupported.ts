// What a policy asks for that cannot work here, whatever the container does, in the one line that run tells.

import type {Composition} from '../intercept/composition.js'

/** One line, or none. */
export function unsupportedNotes({families, rootless}: Composition): readonly string[] {
  const found = families.flatMap(({family, policy}) => family.unsupported?.(policy, {rootless}) ?? [])
  if (found.length === 0) return []
  const told = [...new Map(found.map((each) => [each.flags, each])).values()]
  const why = told.map(({flags, text}) => `${flags} cannot work here: ${text}`).join('; ')
  return [`${why}; for more: interceptor check ${told.map(({flags}) => flags).join(' ')}`]
}
