// LaunchPlan as the flat blob that interceptor-init maps. In step with native/interceptor-init.h; pure.

import type {IdMapExtent} from '../../intercept/container.js'
import {S_IFBLK, S_IFCHR} from '../../kernel/constants.js'
import {encodeDevice} from '../../kernel/device-numbers.js'
import {
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
} from '../../kernel/names/mount-api.js'
import type {FilesystemStep, LaunchPlan, MountFlags} from '../plan.js'

const MAGIC = 0x31504e49
const HEADER_BYTES = 40
const RECORD_BYTES = 16

const RECORDS = {
  root: 1,
  bind: 2,
  mount: 3,
  directory: 4,
  file: 5,
  symlink: 6,
  seal: 7,
  stage: 8,
  hostname: 9,
  workdir: 10,
  environment: 11,
  argument: 12,
  candidate: 13,
  remove: 14,
  denyFilter: 15,
  notifyFilter: 16,
  node: 17,
} as const

const IDMAP = 1
const RECURSIVE = 2
const INSIDE = 4

const PLAN_NETWORK_NONE = 1
const PLAN_WAIT_KILLABLE = 2
const PLAN_ROOTLESS = 4
const PLAN_SPAWNER = 8

/** Group that owns terminals wherever /dev/pts is set up (devpts in the kernel's documentation, FHS). */
const TTY_GID = 5

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

interface NativeRecord {
  readonly kind: number
  readonly flags?: number
  readonly number?: number
  readonly step?: number
  /** Strings, each of which gets its terminating NUL; or bytes as they are. */
  readonly strings?: readonly (Buffer | string)[]
  readonly bytes?: Buffer
}

/** `stage`: a directory of the host where the new root is put together, out of the host's sight. */
export function encodePlan(plan: LaunchPlan, stage: string): Buffer {
  const records = recordsOf(plan, stage).map(encodeRecord)
  const header = Buffer.alloc(HEADER_BYTES)
  const size = records.reduce((total, record) => total + record.length, HEADER_BYTES)
  const flags =
    (plan.network === 'none' ? PLAN_NETWORK_NONE : 0) |
    (plan.waitKillable ? PLAN_WAIT_KILLABLE : 0) |
    (plan.rootless ? PLAN_ROOTLESS : 0) |
    (plan.spawner === undefined ? 0 : PLAN_SPAWNER)
  const words = [MAGIC, size, records.length, flags, plan.uid, plan.gid, rootOf(plan.uidMap), rootOf(plan.gidMap)]
  words.forEach((word, index) => header.writeUInt32LE(word, index * 4))
  const ignored = plan.ignoredSignals.reduce((mask, signal) => mask | (1n << BigInt(signal - 1)), 0n)
  header.writeBigUInt64LE(ignored, 32)
  return Buffer.concat([header, ...records])
}

/** Paths to try for the command, as execvp(3) would: an empty member of PATH is the current directory. */
export function commandCandidates(command: Buffer, environment: readonly Buffer[]): readonly Buffer[] {
  if (command.length === 0 || command.includes('/')) return [command]
  const variable = environment.find((entry) => entry.subarray(0, 5).toString('latin1') === 'PATH=')
  const path = variable === undefined ? DEFAULT_PATH : variable.subarray(5).toString('latin1')
  return path
    .split(':')
    .map((directory) =>
      Buffer.concat([Buffer.from(directory === '' ? '.' : directory, 'latin1'), Buffer.from('/'), command]),
    )
}

/** Where the container's root is in the supervisor's user namespace. */
function rootOf(map: readonly IdMapExtent[]): number {
  const extent = map.find(({inside, count}) => inside === 0 && count > 0)
  if (extent === undefined) throw new RangeError('the id map has no place for id 0')
  return extent.outside
}

function recordsOf(plan: LaunchPlan, stage: string): readonly NativeRecord[] {
  const strings = (kind: number, values: readonly (Buffer | string)[]): readonly NativeRecord[] =>
    values.map((value) => ({kind, strings: [value]}))
  return [
    {kind: RECORDS.stage, strings: [stage]},
    ...plan.filesystem.map((step, index) => ({...stepRecord(step, plan), step: index})),
    {kind: RECORDS.hostname, number: plan.insistsOnHostname === true ? 1 : 0, strings: [plan.hostname]},
    ...strings(RECORDS.workdir, [plan.workdir]),
    ...strings(RECORDS.environment, plan.environment),
    ...strings(RECORDS.argument, plan.command),
    ...strings(RECORDS.candidate, commandCandidates(plan.command[0] ?? Buffer.alloc(0), plan.environment)),
    ...strings(RECORDS.remove, plan.remove),
    ...(plan.denyFilter.length === 0 ? [] : [{kind: RECORDS.denyFilter, bytes: plan.denyFilter}]),
    ...(plan.notifyFilter === undefined ? [] : [{kind: RECORDS.notifyFilter, bytes: plan.notifyFilter}]),
  ]
}

function stepRecord(step: FilesystemStep, plan: LaunchPlan): NativeRecord {
  switch (step.kind) {
    case 'root':
      return {kind: RECORDS.root, ...bindOptions(step), strings: [step.source, step.named?.identity ?? '']}
    case 'bind':
      return {kind: RECORDS.bind, ...bindOptions(step), strings: [step.source, step.target, step.named?.identity ?? '']}
    case 'tmpfs':
      return mountRecord('tmpfs', step.target, 0, attributes(step.flags), [
        ['mode', step.mode.toString(8)],
        ['uid', String(rootOf(plan.uidMap))],
        ['gid', String(rootOf(plan.gidMap))],
        ...(step.sizeBytes === 0 ? [] : ([['size', String(step.sizeBytes)]] as const)),
      ])
    case 'directory':
    case 'file':
      return {kind: RECORDS[step.kind], number: step.mode, strings: [step.target]}
    case 'symlink':
      return {kind: RECORDS.symlink, strings: [step.target, step.to]}
    case 'seal':
      return {kind: RECORDS.seal, strings: [step.target]}
    case 'node':
      return {
        kind: RECORDS.node,
        number: (step.device.type === 'b' ? S_IFBLK : S_IFCHR) | step.mode,
        strings: [step.target, String(encodeDevice(step.device)), String(step.uid), String(step.gid)],
      }
    case 'proc':
    case 'mqueue':
    case 'cgroup2':
      return mountRecord(step.kind, step.target, INSIDE, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, [])
    case 'sysfs':
      return mountRecord(
        'sysfs',
        step.target,
        INSIDE,
        MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
        [],
      )
    case 'devpts':
      return mountRecord('devpts', step.target, INSIDE, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, [
        ['newinstance', ''],
        ['ptmxmode', '0666'],
        ['mode', '0620'],
        ...(isMapped(plan.gidMap, TTY_GID) ? ([['gid', String(TTY_GID)]] as const) : []),
      ])
    default:
      throw new RangeError(`unknown step ${JSON.stringify(step satisfies never)}`)
  }
}

function isMapped(map: readonly IdMapExtent[], id: number): boolean {
  return map.some(({inside, count}) => id >= inside && id < inside + count)
}

function bindOptions(step: {idmap: boolean; recursive: boolean; flags: MountFlags; inside?: true}): {
  flags: number
  number: number
} {
  return {
    flags: (step.idmap ? IDMAP : 0) | (step.recursive ? RECURSIVE : 0) | (step.inside === true ? INSIDE : 0),
    number: attributes(step.flags),
  }
}

function attributes({readOnly = false, nosuid = false, nodev = false, noexec = false}: MountFlags): number {
  return (
    (readOnly ? MOUNT_ATTR_RDONLY : 0) |
    (nosuid ? MOUNT_ATTR_NOSUID : 0) |
    (nodev ? MOUNT_ATTR_NODEV : 0) |
    (noexec ? MOUNT_ATTR_NOEXEC : 0)
  )
}

function mountRecord(
  type: string,
  target: Buffer,
  flags: number,
  number: number,
  options: readonly (readonly [string, string])[],
): NativeRecord {
  return {kind: RECORDS.mount, flags, number, strings: [type, target, 'source', type, ...options.flat()]}
}

function encodeRecord({kind, flags = 0, number = 0, step = 0, strings = [], bytes}: NativeRecord): Buffer {
  const content = bytes ?? Buffer.concat(strings.flatMap((string) => [bytesOf(string), Buffer.alloc(1)]))
  const record = Buffer.alloc(RECORD_BYTES + Math.ceil(content.length / 8) * 8)
  record.writeUInt16LE(kind, 0)
  record.writeUInt16LE(flags, 2)
  record.writeUInt32LE(content.length, 4)
  record.writeUInt32LE(number, 8)
  record.writeUInt32LE(step, 12)
  content.copy(record, RECORD_BYTES)
  return record
}

/** A NUL inside would make two strings of one. */
function bytesOf(string: Buffer | string): Buffer {
  const bytes = typeof string === 'string' ? Buffer.from(string) : string
  if (bytes.includes(0)) throw new RangeError('a string of the plan holds a NUL byte')
  return bytes
}
