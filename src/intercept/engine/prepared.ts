// What all families of a policy ask of the container that is to be made.

import type {EnabledFamily} from '../composition.js'
import type {Preparation, PreparationRequest} from '../preparation.js'

export interface PreparedFamilies extends Required<Omit<Preparation, 'kept'>> {
  /** By name of the family. */
  readonly kept: Readonly<Record<string, unknown>>
}

/** Prepares every family that is on; what one of them throws leaves nothing of the others. */
export function prepareFamilies(families: readonly EnabledFamily[], request: PreparationRequest): PreparedFamilies {
  const prepared: {readonly name: string; readonly own: Preparation<unknown>}[] = []
  const close = (): void => prepared.reverse().forEach(({own}) => own.close?.())
  try {
    for (const {family, policy} of families) {
      const own = family.prepare?.(policy, request)
      if (own !== undefined) prepared.push({name: family.name, own})
    }
  } catch (error) {
    close()
    throw error
  }
  const all = prepared.map(({own}) => own)
  return {
    nodes: all.flatMap(({nodes = []}) => nodes),
    deviceRules: all.flatMap(({deviceRules = []}) => deviceRules),
    shown: all.flatMap(({shown = []}) => shown),
    executed: all.flatMap(({executed = []}) => executed),
    archived: all.flatMap(({archived = []}) => archived),
    archivedAttributes: all.flatMap(({archivedAttributes = []}) => archivedAttributes),
    opensNodes: all.some(({opensNodes}) => opensNodes === true),
    realtime: all.some(({realtime}) => realtime === true),
    ownCgroup: all.find(({ownCgroup}) => ownCgroup !== undefined)?.ownCgroup,
    spawner: all.some(({spawner}) => spawner === true),
    kept: Object.fromEntries(prepared.map(({name, own}) => [name, own.kept])),
    close,
  }
}
