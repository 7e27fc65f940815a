// Steps for a container's cgroup in the unified hierarchy; see cgroups(7), "Cgroups v2", and systemd's CGROUP_DELEGATION.

import {existsSync} from 'node:fs'
import {basename, dirname} from 'node:path'

import {UnavailableError} from '../../errors.js'
import {ancestry} from '../../intercept/container.js'
import type {CgroupDescription} from '../../intercept/container.js'
import type {CgroupOptions, CgroupPlan, CgroupWrite, Evacuation} from './plan.js'
import {CPU_PERIOD_US, cpuQuotaUs, noSteps} from './plan.js'
import type {CgroupHost, CgroupPlace} from './tree.js'
import {parentOf, readCgroupFile, words} from './tree.js'

/** Steps for the controllers `wanted`, and for the device program where `needsProgram`. */
export function planV2(
  host: CgroupHost,
  place: CgroupPlace,
  options: CgroupOptions,
  names: {readonly leaf: string; readonly supervisor: string},
  {wanted, needsProgram}: {readonly wanted: readonly string[]; readonly needsProgram: boolean},
): CgroupPlan {
  // Without controllers a child of our own cgroup will do, whatever processes that has.
  const spot = wanted.length === 0 ? {parent: place.own, enable: []} : chooseParent(host, place, options, names, wanted)
  const own = `${spot.parent}/${names.leaf}`
  const isNeeded = needsProgram || wanted.length > 0 || options.delegateTo !== undefined
  return {
    ...noSteps,
    evacuation: spot.evacuation,
    directories: isNeeded ? [own] : [],
    optionalDirectories: isNeeded ? [] : [own],
    writes: [
      ...spot.enable.map((name) => ({
        file: `${spot.parent}/cgroup.subtree_control`,
        value: `+${name}`,
        purpose: `enable the ${name} controller`,
      })),
      ...limitWrites(own, place, options, wanted),
    ],
    deviceProgram: needsProgram ? own : undefined,
    delegated: options.delegateTo === undefined ? undefined : own,
    description: describeV2(place, own, spot.parent, wanted),
  }
}

/** Where a controller does not reach the container's own directory, the nearest one above that has it is described. */
export function describeV2(
  place: CgroupPlace,
  own: string,
  parent: string,
  enabled: readonly string[],
): CgroupDescription {
  const top = place.mountPoint
  const memory = enabled.includes('memory')
    ? own
    : ancestry({top, own: parent}).find((directory) => existsSync(`${directory}/memory.max`))
  return {
    version: 2,
    unified: {top, own},
    ...(memory === undefined ? {} : {memory: {top, own: memory}}),
    ...(enabled.includes('pids') ? {pids: {top, own}} : {}),
    ...(enabled.includes('cpu') ? {cpu: {top, own}} : {}),
  }
}

interface Spot {
  readonly parent: string
  /** Controllers still to be handed on by the parent. */
  readonly enable: readonly string[]
  readonly evacuation?: Evacuation
}

/**
 * A cgroup that hands controllers on may hold no processes itself, the root excepted, and we are in our own. So: below
 * the root if that is where we are; below our own cgroup if we may empty it; else beside our own.
 */
function chooseParent(
  host: CgroupHost,
  place: CgroupPlace,
  options: CgroupOptions,
  names: {readonly supervisor: string},
  wanted: readonly string[],
): Spot {
  const {own, mountPoint} = place
  const missing = (directory: string) => {
    const enabled = words(readCgroupFile(`${directory}/cgroup.subtree_control`))
    return wanted.filter((name) => !enabled.includes(name))
  }
  const isNamespaceRoot = own === mountPoint
  // The real root alone has no cgroup.type.
  if (isNamespaceRoot && !existsSync(`${own}/cgroup.type`)) {
    requireControllers(own, wanted, options)
    if (mayDelegate(host, own)) return {parent: own, enable: missing(own)}
    throw cannotDelegate(options, wanted, `${own} can't be written`)
  }
  const evacuation = {from: own, to: `${own}/${names.supervisor}`, controllers: missing(own)}
  const inside = {parent: own, enable: [], evacuation}
  if (mayDelegate(host, own) && offers(own, wanted) && isOurs(host, own)) return inside
  const beside = dirname(own)
  if (!isNamespaceRoot && mayDelegate(host, beside) && offers(beside, wanted)) {
    const enable = missing(beside)
    // Where a service manager did not enable a controller it may take it away again, and the limit with it.
    const mayEnable = !existsSync(`${beside}/cgroup.type`)
    if (enable.length === 0 || mayEnable) return {parent: beside, enable}
  }
  requireControllers(own, wanted, options)
  const why = mayDelegate(host, own)
    ? `other processes are in ${own}, which so can't hand controllers on, and ${isNamespaceRoot ? 'nothing above it is visible' : `${beside} can't be used`}`
    : `neither ${own} nor ${beside} can be written`
  throw cannotDelegate(options, wanted, why)
}

/**
 * Whether we may empty `own`: it holds us and the processes that started us, and is not the scope of a login session,
 * which is not ours to rearrange.
 */
function isOurs(host: CgroupHost, own: string): boolean {
  if (/^session-.*\.scope$/.test(basename(own))) return false
  const ours = new Set<string>()
  for (let pid: number | undefined = host.pid; pid !== undefined; pid = parentOf(host, pid)) ours.add(String(pid))
  const members = words(readCgroupFile(`${own}/cgroup.procs`))
  return members.length > 0 && members.every((pid) => ours.has(pid))
}

const offers = (directory: string, wanted: readonly string[]) => {
  const offered = words(readCgroupFile(`${directory}/cgroup.controllers`))
  return wanted.every((name) => offered.includes(name))
}

/** A new cgroup, its subtree_control and a moved process each need write permission. */
function mayDelegate({mayWrite}: CgroupHost, directory: string): boolean {
  return [directory, `${directory}/cgroup.procs`, `${directory}/cgroup.subtree_control`].every(mayWrite)
}

function requireControllers(own: string, wanted: readonly string[], options: CgroupOptions): void {
  const offered = words(readCgroupFile(`${own}/cgroup.controllers`))
  const lacking = wanted.filter((name) => !offered.includes(name))
  if (lacking.length > 0) {
    throw cannotDelegate(options, lacking, `${own} is not given the ${lacking.join(', ')} controller`)
  }
}

const LIMIT_NAMES: Readonly<Record<string, string>> = {cpu: '--cpus', memory: '--memory', pids: '--pids'}

/** An ordinary user's supervisor on a host where each controller has a hierarchy of its own. */
export function cannotDelegateV1(wanted: readonly string[]): UnavailableError {
  const flags = wanted.map((name) => LIMIT_NAMES[name] ?? name).join(', ')
  return new UnavailableError(
    `cannot limit the container: this host has cgroup v1, whose ${wanted.join(', ')} controller is root's alone`,
    {
      hints: [
        `Leave out ${flags}`,
        'Or run interceptor as root',
        'Or have an administrator boot the host with systemd.unified_cgroup_hierarchy=1',
      ],
    },
  )
}

export function cannotDelegate(options: CgroupOptions, wanted: readonly string[], why: string): UnavailableError {
  const flags = wanted.map((name) => LIMIT_NAMES[name] ?? name).join(', ')
  const scope = `systemd-run ${options.rootless ? '--user ' : ''}--scope -p Delegate=yes`
  return new UnavailableError(`cannot limit the container: ${why}`, {
    hints: [
      `Start it in a cgroup of its own: ${scope} interceptor run ...`,
      ...(options.rootless
        ? [
            'If there is no user manager, have root run: loginctl enable-linger USER',
            'If a controller is missing, have root add Delegate=cpu memory pids to user@.service',
          ]
        : []),
      `Leave out ${flags}`,
    ],
  })
}

/** `place.own` may be limited itself; a container beside it must not escape that. */
function limitWrites(
  own: string,
  place: CgroupPlace,
  {memoryBytes, pids, cpus}: CgroupOptions,
  wanted: readonly string[],
): readonly CgroupWrite[] {
  const ours = (file: string) => Number(words(readCgroupFile(`${place.own}/${file}`))[0])
  const least = (asked: number, limit: number) => (limit < asked ? limit : asked)
  const writes: CgroupWrite[] = []
  if (memoryBytes !== undefined && wanted.includes('memory')) {
    const purpose = 'limit the memory'
    const value = String(least(memoryBytes, ours('memory.max')))
    writes.push({file: `${own}/memory.max`, value, purpose})
    writes.push({file: `${own}/memory.swap.max`, value: '0', purpose, optional: true})
  }
  if (pids !== undefined && wanted.includes('pids')) {
    const value = String(least(pids, ours('pids.max')))
    writes.push({file: `${own}/pids.max`, value, purpose: 'limit the processes'})
  }
  if (cpus !== undefined && wanted.includes('cpu')) {
    const [quota, period] = words(readCgroupFile(`${place.own}/cpu.max`)).map(Number)
    const limit = quota === undefined || period === undefined ? Number.NaN : quota / period
    const value = `${cpuQuotaUs(least(cpus, limit))} ${CPU_PERIOD_US}`
    writes.push({file: `${own}/cpu.max`, value, purpose: 'limit the processors'})
  }
  return writes
}
