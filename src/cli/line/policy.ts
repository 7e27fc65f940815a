// From flags (or configuration keys of the same names) to a policy. Pure, except that a device path is looked up.

import {statSync} from 'node:fs'
import {resolve} from 'node:path'

import {UsageError} from '../../errors.js'
import {DEFAULT_DEVICES, parseDevice, sameDevice} from '../../intercept/families/mknod/device.js'
import type {
  BpfPolicy,
  Device,
  FamilyName,
  HandlerPolicy,
  MknodPolicy,
  ModulePolicy,
  MountPolicy,
  Policy,
  SchedPolicy,
  SetxattrPolicy,
} from '../../intercept/policy.js'
import type {FlagValues} from '../flags/index.js'
import {isOn, listOf, valueOf} from '../flags/index.js'
import {parseAttributeName, parseDeviceOption, parseModuleName, parsePriority} from '../flags/values.js'

/** What marks a directory that hides the layers below it. */
const OPAQUE = 'trusted.overlay.opaque'
const MAX_PRIORITY = 50

/** One entry for each family: its part of the policy, or undefined where no flag switches it on. */
const families: {readonly [F in FamilyName]?: (values: FlagValues) => Policy[F] | undefined} = {
  bpf: bpfPolicy,
  mknod: mknodPolicy,
  modules: modulePolicy,
  mount: mountPolicy,
  sched: schedPolicy,
  setxattr: setxattrPolicy,
  sysinfo: (values) => (isOn(values, 'sysinfo') ? {} : undefined),
}

/** `handler`: what the modules of --handler declare, which takes loading them. */
export function toPolicy(values: FlagValues, handler?: HandlerPolicy): Policy {
  const entries = Object.entries(families).map(([family, select]) => [family, select(values)] as const)
  const policy: Policy = Object.fromEntries(entries.filter(([, part]) => part !== undefined))
  return handler === undefined ? policy : {...policy, handler}
}

function bpfPolicy(values: FlagValues): BpfPolicy | undefined {
  const devices = isOn(values, 'bpf-devices')
  return isOn(values, 'bpf') || devices ? {devices} : undefined
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

function modulePolicy(values: FlagValues): ModulePolicy | undefined {
  const names = listOf(values, 'finit-module').map((text) => parseModuleName('finit-module', text))
  return names.length === 0 ? undefined : {names: [...new Set(names)]}
}

function schedPolicy(values: FlagValues): SchedPolicy | undefined {
  const highest = valueOf(values, 'sched-max-priority')
  const deadline = isOn(values, 'sched-deadline')
  if (!isOn(values, 'sched-setscheduler') && !deadline && highest === undefined) return undefined
  const maxPriority = highest === undefined ? MAX_PRIORITY : parsePriority('sched-max-priority', highest)
  return {maxPriority, ...(deadline ? {deadline} : {})}
}

function setxattrPolicy(values: FlagValues): SetxattrPolicy | undefined {
  const allowed = listOf(values, 'setxattr-allow')
  if (!isOn(values, 'setxattr') && allowed.length === 0) return undefined
  return {names: [...new Set([OPAQUE, ...allowed.map((text) => parseAttributeName('setxattr-allow', text))])]}
}

function mountPolicy(values: FlagValues): MountPolicy | undefined {
  const [allowed, helpers, sources] = ['mount-allowed', 'mount-fuse', 'mount-source'].map((name) =>
    listOf(values, name),
  )
  const shift = isOn(values, 'mount-shift')
  const lists = [...allowed!, ...helpers!, ...sources!]
  if (!isOn(values, 'mount') && !shift && lists.length === 0) return undefined
  const fuse = Object.fromEntries(helpers!.map(fuseEntry))
  for (const type of allowed!) {
    if (!isTypeName(type)) throw notAType('mount-allowed', type)
    if (!Object.hasOwn(fuse, type)) continue
    throw new UsageError(`--mount-allowed and --mount-fuse both name ${type}`, {
      hints: ['let either the kernel or a FUSE program mount it'],
    })
  }
  const devices = listOf(values, 'device')
    .map((text) => parseDeviceOption('device', text).path.toString())
    .filter((path) => statSync(path, {throwIfNoEntry: false})?.isBlockDevice())
  return {allowed: [...new Set(allowed)], fuse, shift, sources: [...sources!, ...devices].map((path) => resolve(path))}
}

/** `ext4=fuse2fs`; as LXD has it, the program begins after the first `=`. */
function fuseEntry(text: string): [string, string] {
  const equals = text.indexOf('=')
  const [type, helper] = [text.slice(0, equals), text.slice(equals + 1)]
  if (equals < 1 || helper === '' || helper.includes('\0')) {
    throw new UsageError(`--mount-fuse ${JSON.stringify(text)} names no file system and program`, {
      hints: ['write it as FS=HELPER, for example ext4=fuse2fs'],
    })
  }
  if (!isTypeName(type)) throw notAType('mount-fuse', type)
  return [type, helper]
}

function isTypeName(text: string): boolean {
  return /^[\w.-]{1,64}$/.test(text)
}

function notAType(flag: string, text: string): UsageError {
  return new UsageError(`--${flag}: ${JSON.stringify(text)} is no type of file system`, {
    hints: ['types are those of /proc/filesystems, for example ext4'],
  })
}
