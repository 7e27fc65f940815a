// What the families keep in the main thread while one container is supervised.

import type {EnabledFamily} from '../composition.js'
import type {ContainerDescription} from '../container.js'

export interface AttachedFamilies {
  /** By name of the family: what its workers are given. */
  readonly shared: Readonly<Record<string, unknown>>
  /** The command must not begin before what an earlier run left is taken up. */
  readonly restores: boolean
  stop(): void
}

export const NOT_ATTACHED: AttachedFamilies = {shared: {}, restores: false, stop: () => undefined}

/** Attaches every family that is on. `kept`: what each kept when the container was prepared, by name. */
export function attachFamilies(
  families: readonly EnabledFamily[],
  container: ContainerDescription,
  kept: Readonly<Record<string, unknown>> = {},
): AttachedFamilies {
  const attached = families.flatMap(({family, policy}) => {
    const own = family.attach?.(policy, container, kept[family.name])
    return own === undefined ? [] : [{...own, name: family.name}]
  })
  return {
    shared: Object.fromEntries(attached.map(({name, shared}) => [name, shared])),
    restores: attached.some(({restores}) => restores === true),
    stop: () => attached.forEach(({stop}) => stop?.()),
  }
}
