// The container's cgroup: limits, and the rule on devices that holds whatever nodes exist.

import {chownSync, closeSync, mkdirSync, openSync, readdirSync, rmdirSync} from 'node:fs'
import {dirname} from 'node:path'

import {InterceptorError, LaunchError, UnavailableError} from '../../errors.js'
import {attachDeviceProgram, loadDeviceProgram} from '../../ffi/bpf.js'
import {SystemError} from '../../ffi/errors.js'
import type {CgroupDescription} from '../../intercept/container.js'
import type {CgroupOptions, CgroupPlan, Evacuation} from './plan.js'
import {noSteps, wantedControllers} from './plan.js'
import {MADE_BY_US} from './of.js'
import type {CgroupHost, Hierarchies} from './tree.js'
import {findHierarchies, readCgroupFile, startTime, subdirectories, thisHost, words, writeCgroupFile} from './tree.js'
import {planV1} from './v1.js'
import {cannotDelegate, cannotDelegateV1, describeV2, planV2} from './v2.js'
import type {DeviceRule} from '../../intercept/preparation.js'
import {BASE_DEVICES, deviceProgram} from './device-rule.js'

export type {CgroupOptions} from './plan.js'

export interface ContainerCgroup {
  readonly description: CgroupDescription
  /** Every directory that was made, for whoever cleans up after us. */
  readonly directories: readonly string[]
  /** What could not be had and does not stop the launch, each a sentence. */
  readonly warnings: readonly string[]
  /** Moves the process, with all its threads, into the cgroup. */
  join(pid: number): void
  /** Whether the kernel has killed a process in it because the limit of memory was reached. */
  hasLackedMemory(): boolean
  /** Removes the directories, waiting a little for the last process to leave. Throws when one stays. */
  destroy(): void
}

/** Makes the container's cgroup and sets its limits. Leaves nothing behind when it throws. */
export function createCgroup(
  options: CgroupOptions,
  host: CgroupHost = thisHost(),
  hierarchies: Hierarchies = findHierarchies(host),
): ContainerCgroup {
  const plan = planCgroup(options, hierarchies, host)
  const made: string[] = []
  let evacuated: Evacuation | undefined
  const destroy = () => {
    removeAll(made)
    if (evacuated !== undefined) returnFrom(evacuated)
    evacuated = undefined
  }
  const warnings: string[] = []
  try {
    if (plan.evacuation !== undefined) {
      evacuated = plan.evacuation
      evacuate(plan.evacuation)
    }
    // Handing a controller on comes before the directory that shall have its files.
    for (const {file, value, purpose} of plan.writes.filter(isEnabling)) put(file, value, purpose)
    for (const directory of plan.directories) make(directory, made)
    for (const directory of plan.optionalDirectories) makeIfPossible(directory, made)
    for (const write of plan.writes.filter((each) => !isEnabling(each))) {
      if (write.optional === true && readCgroupFile(write.file) === undefined) continue
      put(write.file, write.value, write.purpose)
    }
    if (plan.deviceProgram !== undefined) restrictDevices(plan.deviceProgram, options.devices ?? [])
    if (plan.delegated !== undefined && options.delegateTo !== undefined) delegate(plan.delegated, options.delegateTo)
    if (plan.realtime !== undefined) warnings.push(...giveRealtime(plan.realtime))
  } catch (error) {
    destroyQuietly(destroy)
    throw error
  }
  const directories = [...made]
  return {
    description: describeMade(plan, directories, hierarchies),
    directories: evacuated === undefined ? directories : [...directories, evacuated.to],
    warnings,
    join: (pid) =>
      directories.forEach((directory) => put(`${directory}/cgroup.procs`, String(pid), 'start the container')),
    hasLackedMemory: () => directories.some(hasKilledForMemory),
    destroy,
  }
}

/** The steps for this host; throws where it can't give what is asked. Nothing is changed. */
export function planCgroup(options: CgroupOptions, hierarchies: Hierarchies, host: CgroupHost): CgroupPlan {
  const {v1, unified} = hierarchies
  const id = `${host.pid}-${startTime(host, host.pid) ?? '0'}`
  const names = {leaf: `interceptor-${options.name}.${id}`, supervisor: `interceptor-supervisor.${id}`}
  const wanted = wantedControllers(options)
  const needsProgram = !options.rootless && !v1.has('devices')
  if (needsProgram && unified === undefined) {
    throw new LaunchError('cannot restrict the devices of the container: no cgroup hierarchy that can is mounted', {
      hints: ['Mount one: mount -t cgroup2 none /sys/fs/cgroup', 'Run interceptor as an ordinary user'],
    })
  }
  if (options.delegateTo !== undefined && unified === undefined) {
    const {flag} = options.delegateTo
    throw new UnavailableError(
      `cannot give the container a cgroup for ${flag}: no cgroup hierarchy of version 2 is mounted`,
      {hints: ['Mount one: mount -t cgroup2 none /sys/fs/cgroup/unified', `Leave out ${flag}`]},
    )
  }
  const inUnified = wanted.filter((name) => !v1.has(name))
  if (inUnified.length > 0 && unified === undefined) {
    throw cannotDelegate(
      options,
      inUnified,
      `no cgroup hierarchy with the ${inUnified.join(', ')} controller is mounted`,
    )
  }
  const denied = options.rootless ? wanted.filter((name) => v1.has(name) && !host.mayWrite(v1.get(name)!.own)) : []
  if (denied.length > 0) throw cannotDelegateV1(denied)
  const first = planV1(hierarchies, options, names.leaf)
  const second =
    unified === undefined ? noSteps : planV2(host, unified, options, names, {wanted: inUnified, needsProgram})
  return {
    evacuation: second.evacuation,
    directories: [...first.directories, ...second.directories],
    optionalDirectories: second.optionalDirectories,
    writes: [...first.writes, ...second.writes],
    deviceProgram: second.deviceProgram,
    delegated: second.delegated,
    realtime: first.realtime,
    description: {...second.description, ...first.description, version: v1.has('memory') ? 1 : 2},
  }
}

/** A directory that could not be made must not be described. */
function describeMade(plan: CgroupPlan, made: readonly string[], {unified}: Hierarchies): CgroupDescription {
  const {unified: described, ...rest} = plan.description
  if (described === undefined || unified === undefined || made.includes(described.own)) return plan.description
  const {memory} = describeV2(unified, unified.own, unified.own, [])
  return {...(memory === undefined ? {} : {memory}), ...rest}
}

const isEnabling = ({file}: {readonly file: string}) => file.endsWith('/cgroup.subtree_control')

/** `oom_kill` of version 2 (memory.events), and of version 1 since Linux 4.13. */
function hasKilledForMemory(directory: string): boolean {
  const counts = ['memory.events', 'memory.oom_control'].map((file) => readCgroupFile(`${directory}/${file}`) ?? '')
  return counts.some((text) => /^oom_kill [1-9]/m.test(text))
}

function make(directory: string, made: string[]): void {
  try {
    mkdirSync(directory)
  } catch (error) {
    throw failure(`cannot make the cgroup ${directory}`, 'mkdir', error)
  }
  made.push(directory)
}

function makeIfPossible(directory: string, made: string[]): void {
  try {
    mkdirSync(directory)
    made.push(directory)
  } catch {
    // Described as absent.
  }
}

function put(file: string, value: string, purpose: string): void {
  try {
    writeCgroupFile(file, value)
  } catch (error) {
    throw failure(`cannot ${purpose}: ${JSON.stringify(value)} into ${file}`, 'write', error)
  }
}

function failure(message: string, syscall: string, error: unknown): Error {
  const errno = errnoOf(error)
  if (errno === undefined) return error as Error
  const cause = new SystemError(syscall, errno)
  const denied = ['EACCES', 'EPERM', 'EROFS'].includes(cause.code)
  return denied ? new UnavailableError(message, {cause}) : new LaunchError(message, {cause})
}

/** Positive errno of an error of node:fs. */
function errnoOf(error: unknown): number | undefined {
  const errno = error instanceof Error && 'errno' in error ? error.errno : undefined
  return typeof errno === 'number' ? Math.abs(errno) : undefined
}

function restrictDevices(directory: string, devices: readonly DeviceRule[]): void {
  let cgroup: number | undefined
  let program: number | undefined
  try {
    cgroup = openSync(directory, 'r')
    program = loadDeviceProgram(deviceProgram([...BASE_DEVICES, ...devices]), 'interceptor')
    attachDeviceProgram(cgroup, program)
  } catch (error) {
    throw new LaunchError(`cannot restrict the devices of the container at ${directory}`, {
      cause: error,
      hints: [
        'Use a kernel with CONFIG_CGROUP_BPF, or mount the v1 devices controller',
        'Run interceptor as an ordinary user: the kernel then opens no device for the container',
      ],
    })
  } finally {
    if (program !== undefined) closeSync(program)
    if (cgroup !== undefined) closeSync(cgroup)
  }
}

/** More than a container needs for itself, and less than would burden the host. */
const DESCENDANTS_MAX = '1024'

/** What cgroups(7) says under "Delegation"; limits stay root's, and so does the number of cgroups below. */
function delegate(directory: string, {uid, gid}: {readonly uid: number; readonly gid: number}): void {
  const purpose = 'bound the cgroups of the container'
  put(`${directory}/cgroup.max.descendants`, DESCENDANTS_MAX, purpose)
  for (const name of ['.', 'cgroup.procs', 'cgroup.threads', 'cgroup.subtree_control']) {
    try {
      chownSync(`${directory}/${name}`, uid, gid)
    } catch (error) {
      throw failure(`cannot give the cgroup ${directory} to the container`, 'chown', error)
    }
  }
}

/** Half of what the parent has, or less where other children have it: CONFIG_RT_GROUP_SCHED, sched(7). */
function giveRealtime(directory: string): readonly string[] {
  const file = `${directory}/cpu.rt_runtime_us`
  // Without that option there is no file, and nothing to give.
  if (readCgroupFile(file) === undefined) return []
  const above = Number(readCgroupFile(`${dirname(directory)}/cpu.rt_runtime_us`))
  for (let microseconds = Math.floor(above / 2); microseconds >= 1000; microseconds = Math.floor(microseconds / 2)) {
    try {
      writeCgroupFile(file, String(microseconds))
      return []
    } catch {
      // More than is left: less is tried.
    }
  }
  return [
    `with --cpus this host has no real-time bandwidth for the container: ${file} stays 0, and SCHED_FIFO is EPERM`,
  ]
}

/** Our own cgroup is emptied into a child of it, so that it may hand controllers on. */
function evacuate({from, to, controllers}: Evacuation): void {
  make(to, [])
  moveAll(from, to)
  for (const name of controllers) put(`${from}/cgroup.subtree_control`, `+${name}`, `enable the ${name} controller`)
}

function returnFrom({from, to, controllers}: Evacuation): void {
  for (const name of controllers) {
    try {
      writeCgroupFile(`${from}/cgroup.subtree_control`, `-${name}`)
    } catch {
      // Another container of the same supervisor's cgroup may still use it.
      return
    }
  }
  moveAll(to, from)
  removeTree(to)
}

function moveAll(from: string, to: string): void {
  // Processes may fork while they are moved.
  for (let round = 0; round < 16; round++) {
    const pids = words(readCgroupFile(`${from}/cgroup.procs`))
    if (pids.length === 0) return
    for (const pid of pids) {
      try {
        writeCgroupFile(`${to}/cgroup.procs`, pid)
      } catch (error) {
        if (errnoOf(error) !== 3) throw failure(`cannot move process ${pid} to ${to}`, 'write', error)
      }
    }
  }
  throw new LaunchError(`cannot empty the cgroup ${from}: its processes fork too fast`)
}

const REMOVE_ATTEMPTS = 40
const REMOVE_PAUSE_MS = 25

/** One that stays does not keep the others. */
function removeAll(directories: string[]): void {
  const failures: unknown[] = []
  for (const directory of directories.splice(0).reverse()) {
    try {
      removeTree(directory)
    } catch (error) {
      failures.push(error)
      directories.push(directory)
    }
  }
  if (failures.length > 0) throw failures[0]
}

/** Removes a cgroup with what the container made in it. The kernel lets go of a dead process a moment late. */
function removeTree(directory: string): void {
  for (const each of [...subdirectories(directory), directory]) {
    for (let attempt = 1; ; attempt++) {
      const error = tryRemove(each)
      if (error === undefined) break
      const cause = new SystemError('rmdir', errnoOf(error) ?? 5)
      if (cause.code !== 'EBUSY' || attempt === REMOVE_ATTEMPTS) {
        const pids = words(readCgroupFile(`${each}/cgroup.procs`))
        const why = pids.length > 0 ? `, which still holds ${pids.slice(0, 8).join(', ')}` : ''
        throw new LaunchError(`cannot remove the cgroup ${each}${why}`, {
          cause,
          hints: [`Remove it later: rmdir ${each}`],
        })
      }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, REMOVE_PAUSE_MS)
    }
  }
}

function tryRemove(directory: string): Error | undefined {
  try {
    rmdirSync(directory)
    return undefined
  } catch (error) {
    return errnoOf(error) === 2 ? undefined : (error as Error)
  }
}

function destroyQuietly(destroy: () => void): void {
  try {
    destroy()
  } catch (error) {
    // The first failure is the one to tell; what stays is found by removeStaleCgroups.
    if (!(error instanceof InterceptorError)) throw error
  }
}

/** Removes what supervisors left that were killed: empty cgroups whose pid and start time are nobody's. */
export function removeStaleCgroups(
  host: CgroupHost = thisHost(),
  {v1, unified}: Hierarchies = findHierarchies(host),
): readonly string[] {
  const places = [...v1.values(), ...(unified === undefined ? [] : [unified])]
  const parents = new Set(places.flatMap(({own, mountPoint}) => (own === mountPoint ? [own] : [own, dirname(own)])))
  return [...parents].flatMap((parent) =>
    directoryNames(parent)
      .filter((name) => isStale(host, name))
      .map((name) => `${parent}/${name}`)
      .filter((directory) => removeIfEmpty(directory)),
  )
}

function isStale(host: CgroupHost, name: string): boolean {
  const [, pid, started] = MADE_BY_US.exec(name) ?? []
  return pid !== undefined && startTime(host, Number(pid)) !== started
}

/** The kernel removes no cgroup that has a process, so nothing needs to be asked first. */
function removeIfEmpty(directory: string): boolean {
  return [...subdirectories(directory), directory].every((each) => tryRemove(each) === undefined)
}

function directoryNames(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}
