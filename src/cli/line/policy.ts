// From flags (or configuration keys of the same names) to a policy.

import {closeSync, fstatSync} from 'node:fs'
import {resolve} from 'node:path'

import {UsageError} from '../../errors.js'
import {listOf} from '../../flag.js'
import type {FlagValues} from '../../flag.js'
import {Composition} from '../../intercept/composition.js'
import {FAMILIES} from '../../intercept/families/index.js'
import type {AnyFamily} from '../../intercept/family.js'
import type {Policy, PolicyContext} from '../../intercept/policy.js'
import {openHostPath} from '../../host/open.js'
import {decodeDevice} from '../../kernel/device-numbers.js'
import type {Device} from '../../kernel/device-numbers.js'
import {container} from '../flags/container.js'

/** `loaded`: what the flags lead to that code must be loaded for, see `loadPolicy`. Throws UsageError. */
export function toPolicy(values: FlagValues, loaded: Policy = {}): Policy {
  const context: PolicyContext = {
    deviceAt,
    blockDevices: () => blockDevicesAmong(listOf(values, container.device).map(({path}) => path.toString())),
    absolute: (path) => resolve(path),
  }
  const entries = FAMILIES.map(({name, policy}) => [name, policy.fromFlags(values, context) as unknown] as const)
  return {...Object.fromEntries(entries.filter(([, part]) => part !== undefined)), ...loaded}
}

/**
 * Loads the modules of the user's own that flags name, which runs them.
 *
 * @throws UsageError where that fails, or where they answer what another flag has answered
 */
export async function loadPolicy(values: FlagValues): Promise<Policy> {
  const loaded: Record<string, unknown> = {}
  for (const family of FAMILIES) {
    const part: unknown = await family.load?.(values)
    if (part === undefined) continue
    loaded[family.name] = part
    refuseTwice(family.flag, namesOf({[family.name]: part}, [family]), namesOf(toPolicy(values), FAMILIES))
  }
  return loaded
}

function refuseTwice(flag: string, own: ReadonlySet<string>, others: ReadonlySet<string>): void {
  const twice = [...own].find((name) => others.has(name))
  if (twice === undefined) return
  throw new UsageError(`cannot use ${flag} for ${twice}: other flags have it answered already`, {
    hints: ['leave out one of the two'],
  })
}

/** Names of the calls that these families have answered, however interceptor is started. */
function namesOf(policy: Policy, families: readonly AnyFamily[]): ReadonlySet<string> {
  const both = [true, false].map((rootless) => new Composition({policy, rootless, families}))
  return new Set(both.flatMap(({calls}) => [...calls.keys()]))
}

/** Undefined for what is no device node. Throws what `openHostPath` does. */
function deviceAt(path: string): Device | undefined {
  const fd = openHostPath(Buffer.from(resolve(path)))
  try {
    const stats = fstatSync(fd)
    const type = stats.isBlockDevice() ? 'b' : stats.isCharacterDevice() ? 'c' : undefined
    return type && {type, ...decodeDevice(stats.rdev)}
  } finally {
    closeSync(fd)
  }
}

function blockDevicesAmong(paths: readonly string[]): readonly string[] {
  return paths.filter((path) => {
    try {
      return deviceAt(path)?.type === 'b'
    } catch {
      // The run words it, when it opens all that is named.
      return false
    }
  })
}
