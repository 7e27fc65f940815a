// From flags (or configuration keys of the same names) to a policy. Pure, except that a device path is looked up.

import {DEFAULT_DEVICES, parseDevice, sameDevice} from '../intercept/device.js'
import type {Device, FamilyName, MknodPolicy, Policy, SetxattrPolicy} from '../intercept/policy.js'
import type {FlagValues} from './flags.js'
import {isOn, listOf} from './flags.js'
import {parseAttributeName} from './values.js'

/** What marks a directory that hides the layers below it. */
const OPAQUE = 'trusted.overlay.opaque'

/** One entry for each family: its part of the policy, or undefined where no flag switches it on. */
const families: {readonly [F in FamilyName]?: (values: FlagValues) => Policy[F] | undefined} = {
  mknod: mknodPolicy,
  setxattr: setxattrPolicy,
  sysinfo: (values) => (isOn(values, 'sysinfo') ? {} : undefined),
}

export function toPolicy(values: FlagValues): Policy {
  const entries = Object.entries(families).map(([family, select]) => [family, select(values)] as const)
  return Object.fromEntries(entries.filter(([, part]) => part !== undefined))
}

function mknodPolicy(values: FlagValues): MknodPolicy | undefined {
  const allowed = listOf(values, 'mknod-allow')
  if (!isOn(values, 'mknod') && allowed.length === 0) return undefined
  const devices: Device[] = [...DEFAULT_DEVICES]
  for (const text of allowed) {
    const device = parseDevice(text)
    if (!devices.some((known) => sameDevice(known, device))) devices.push(device)
  }
  return {devices}
}

function setxattrPolicy(values: FlagValues): SetxattrPolicy | undefined {
  const allowed = listOf(values, 'setxattr-allow')
  if (!isOn(values, 'setxattr') && allowed.length === 0) return undefined
  return {names: [...new Set([OPAQUE, ...allowed.map((text) => parseAttributeName('setxattr-allow', text))])]}
}
