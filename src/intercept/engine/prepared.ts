// What all families of a policy ask of the container that is to be made.

import type {EnabledFamily} from '../composition.js'
import type {Preparation, PreparationRequest} from '../preparation.js'

export interface PreparedFamilies extends Required<Omit<Preparation, 'kept' | 'objects'>> {
  /** By name of the family. */
  readonly kept: Readonly<Record<string, unknown>>
  /** The same for what `adoptFamilies` takes. */
  readonly objects: FamilyObjects
}

/** Descriptors of the objects that the policy of each family names, by name of the family. */
export type FamilyObjects = Readonly<Record<string, readonly number[]>>

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
    objects: Object.fromEntries(prepared.map(({name, own: {objects = []}}) => [name, objects])),
    close,
  }
}

/**
 * What the families keep for a second supervisor of a container, for a policy that is no wider than the first one's.
 *
 * @param given with which the container was made
 * @param objects what `prepareFamilies` gave then
 * @param take copies one of these descriptors
 */
export function adoptFamilies(
  families: readonly EnabledFamily[],
  given: readonly EnabledFamily[],
  objects: FamilyObjects,
  take: (fd: number) => number,
): Pick<PreparedFamilies, 'close' | 'kept'> {
  const adopted: {readonly name: string; readonly own: Pick<Preparation<unknown>, 'close' | 'kept'>}[] = []
  const close = (): void => adopted.reverse().forEach(({own}) => own.close?.())
  try {
    for (const {family, policy} of families) {
      const theirs = given.find((other) => other.family === family)
      if (family.adopt === undefined || theirs === undefined) continue
      const own = family.adopt(policy, theirs.policy, (objects[family.name] ?? []).map(take))
      adopted.push({name: family.name, own})
    }
  } catch (error) {
    close()
    throw error
  }
  return {kept: Object.fromEntries(adopted.map(({name, own}) => [name, own.kept])), close}
}
