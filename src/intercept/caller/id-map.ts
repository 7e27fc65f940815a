// Ids between the container and the supervisor's user namespace. Pure.

import {OVERFLOW_ID} from '../../kernel/constants.js'
import type {IdMapExtent} from '../container.js'

/** The container's id for one of the supervisor's; the overflow id where there is none, as from_kuid_munged(). */
export function idInside(map: readonly IdMapExtent[], outside: number): number {
  for (const extent of map) {
    if (outside >= extent.outside && outside < extent.outside + extent.count)
      return extent.inside + (outside - extent.outside)
  }
  return OVERFLOW_ID
}

/** The supervisor's id for one of the container's; undefined where there is none. */
export function idOutside(map: readonly IdMapExtent[], inside: number): number | undefined {
  for (const extent of map) {
    if (inside >= extent.inside && inside < extent.inside + extent.count)
      return extent.outside + (inside - extent.inside)
  }
  return undefined
}

export function isMapped(map: readonly IdMapExtent[], outside: number): boolean {
  return map.some((extent) => outside >= extent.outside && outside < extent.outside + extent.count)
}
