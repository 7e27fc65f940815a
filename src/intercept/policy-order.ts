// Compares policies: whether one allows more than another. Pure.

import type {AnyFamily} from './family.js'
import type {Policy} from './policy.js'

/** What `asked` allows and `given` does not, each as words for a person; empty where there is nothing. */
export function beyond(families: readonly AnyFamily[], asked: Policy, given: Policy): readonly string[] {
  return families.flatMap((family) => {
    const mine: unknown = family.select(asked)
    // What is on with any other family allows nothing by itself.
    if (mine === undefined || family.flag === '') return []
    const theirs: unknown = family.select(given)
    return theirs === undefined ? [`${family.name}, which is off in it`] : family.policy.beyond(mine, theirs)
  })
}
