// Options and facts of the host -> the steps that build what the container sees. See "What the container sees" in interceptor(1).

import {LaunchError, UsageError} from '../../errors.js'
import {ROOT, absolute, below, components, display, isAbsolute, join, normal} from '../../host/path-bytes.js'
import type {IdMapExtent} from '../../intercept/container.js'
import type {NodeOption} from '../../intercept/preparation.js'
import {OVERFLOW_ID} from '../../kernel/constants.js'
import type {FilesystemStep, MountFlags} from '../plan.js'
import type {BindOption, DeviceOption} from '../run-options.js'
import {toContainer, toHost} from '../userns/idmap.js'
import type {FileFacts, Host} from './host.js'
import {MountPoints, SHOWN, resolveOnHost} from './mount-points.js'
import type {MountRequest} from './mount-points.js'
import {bindNode, bindNodeRequest, deviceRequest, ownNodeRequest} from './node-requests.js'

export interface FilesystemOptions {
  readonly rootless: boolean
  readonly uidMap: readonly IdMapExtent[]
  readonly gidMap: readonly IdMapExtent[]
  readonly rootfs: Buffer | undefined
  /** As the kernel names it, absolute and without links. */
  readonly currentDirectory: Buffer
  /** Directories of the host that the container does not see. */
  readonly hidden: readonly Buffer[]
  /** Without --rootfs: whether it is made writable (see writable-roots.ts). */
  readonly bindCurrentDirectory: boolean
  readonly binds: readonly BindOption[]
  readonly tmpfs: readonly Buffer[]
  readonly devices: readonly DeviceOption[]
  /** What may be mounted: block devices, image files, directories of images. */
  readonly shown: readonly Buffer[]
  /** Device nodes of the supervisor's own. */
  readonly nodes: readonly NodeOption[]
  readonly workdir: Buffer | undefined
  readonly readOnly: boolean
  readonly network: 'host' | 'none'
  /** Where the host has its unified hierarchy: the container gets its own there. */
  readonly cgroups?: Buffer | undefined
  /** Device nodes that the supervisor makes are to be openable where the container can write. */
  readonly opensNodes: boolean
  /** Device path of the terminal among the standard streams. */
  readonly terminal: Buffer | undefined
}

export interface FilesystemPlan {
  readonly steps: readonly FilesystemStep[]
  readonly workdir: Buffer
  /** PWD for the command: the one given where it leads to the working directory in the container too. */
  pwd(given: Buffer | undefined): Buffer
}

/** File systems that have FS_ALLOW_IDMAP whatever their options are (mount_setattr(2)). */
const IDMAPPABLE = new Set('bcachefs btrfs erofs ext2 ext3 ext4 f2fs ntfs3 squashfs tmpfs vfat xfs'.split(' '))

const NODES = ['null', 'zero', 'full', 'random', 'urandom', 'tty']
const LXCFS_FILES = ['cpuinfo', 'diskstats', 'loadavg', 'meminfo', 'stat', 'swaps', 'uptime']
const DEV_BYTES = 16 * 1024 * 1024

const PRIVATE: MountFlags = {nosuid: true, nodev: true}

export function planFilesystem(options: FilesystemOptions, host: Host): FilesystemPlan {
  const {rootfs} = options
  const points = new MountPoints(
    host,
    rootfs === undefined
      ? {kind: 'fixed', target: ROOT, source: ROOT, reached: false}
      : {kind: 'writable', target: ROOT, source: rootfs},
    reachableByRoot(options),
  )
  points.steps.push(rootStep(options, host))
  for (const directory of options.hidden) points.hide(directory)
  const inner: FilesystemStep[] = []
  planKernelFilesystems(options, points, inner)
  planDevices(options, host, points, inner)
  planScratch(options, points)
  planRequests(options, host, points)
  planResolver(options, host, points)
  planLxcfs(host, inner)
  const workdir = planWorkdir(options, points)
  points.seal()
  if (rootfs !== undefined && options.readOnly) points.steps.push({kind: 'seal', target: ROOT})
  return {
    steps: [...points.steps, ...inner],
    workdir,
    pwd: (given) =>
      given !== undefined && isAbsolute(given) && points.resolve(given).path.equals(workdir) ? given : workdir,
  }
}

/**
 * Whether the container's root can search a directory: by CAP_DAC_READ_SEARCH, which counts where owner and group are
 * both mapped (capable_wrt_inode_uidgid in kernel/capability.c), else by the mode. Access lists are not looked at: a
 * directory that only they open is replaced, which shows less and works as well.
 */
export function reachableByRoot({
  uidMap,
  gidMap,
  rootless,
}: Pick<FilesystemOptions, 'gidMap' | 'rootless' | 'uidMap'>): (facts: FileFacts) => boolean {
  // In a user namespace stat(2) shows unmapped owners as 65534, which may be mapped as well.
  const isMapped = (map: readonly IdMapExtent[], id: number) =>
    !(rootless && id === OVERFLOW_ID) && toContainer(map, id) !== undefined
  const [root, wheel] = [toHost(uidMap, 0), toHost(gidMap, 0)]
  return ({uid, gid, mode}) => {
    if (isMapped(uidMap, uid) && isMapped(gidMap, gid)) return true
    if (uid === root) return (mode & 0o100) !== 0
    if (gid === wheel) return (mode & 0o010) !== 0
    return (mode & 0o001) !== 0
  }
}

function rootStep(options: FilesystemOptions, host: Host): FilesystemStep {
  const {rootfs, rootless} = options
  if (rootfs === undefined)
    // nosuid costs nothing: setuid bits of owners that are not mapped are ignored anyway (bprm_fill_uid in fs/exec.c).
    return {kind: 'root', source: ROOT, idmap: false, recursive: true, flags: SHOWN}
  const named = host.lstat(rootfs)
  if (named?.type !== 'directory') throw new UsageError(`cannot use --rootfs ${display(rootfs)}: it is not a directory`)
  return {
    kind: 'root',
    source: rootfs,
    idmap: !rootless,
    recursive: isRecursive(rootfs, !rootless, host),
    flags: {nodev: !options.opensNodes},
    named: {identity: named.identity},
  }
}

/** What replaces the host's own /proc and, with a network of its own, /sys. */
function planKernelFilesystems(options: FilesystemOptions, points: MountPoints, inner: FilesystemStep[]): void {
  // The host's /proc is below: an empty directory that can't be unmounted hides it when the container unmounts its own.
  const proc = points.ensure(Buffer.from('/proc'), 'directory', 0o555)
  points.tmpfs(proc, 0o555, {...PRIVATE, noexec: true, readOnly: true})
  inner.push({kind: 'proc', target: proc})

  if (options.rootfs === undefined && options.network === 'host') {
    planCgroups(options, points, inner)
    return
  }
  const sys = points.ensure(Buffer.from('/sys'), 'directory', 0o555)
  if (options.network === 'host') {
    // A sysfs of its own needs a network namespace of its own (sysfs_init_fs_context in fs/sysfs/mount.c).
    points.bind({
      source: Buffer.from('/sys'),
      target: sys,
      idmap: false,
      recursive: true,
      flags: {...SHOWN, noexec: true},
    })
    planCgroups(options, points, inner)
    return
  }
  points.tmpfs(sys, 0o555, {...PRIVATE, noexec: true, readOnly: true})
  inner.push({kind: 'sysfs', target: sys})
  // In a sysfs of its own no other hierarchy is mounted.
  if (options.cgroups !== undefined) inner.push({kind: 'cgroup2', target: Buffer.from('/sys/fs/cgroup')})
}

/**
 * In the place of the host's, which is covered for good: whoever can open a cgroup of the host and holds a device
 * program can attach it there, and a process that exec starts with fewer flags is not stopped on the way.
 */
function planCgroups({cgroups}: FilesystemOptions, points: MountPoints, inner: FilesystemStep[]): void {
  if (cgroups === undefined) return
  points.tmpfs(cgroups, 0o555, {...PRIVATE, noexec: true, readOnly: true})
  inner.push({kind: 'cgroup2', target: cgroups})
}

function planDevices(options: FilesystemOptions, host: Host, points: MountPoints, inner: FilesystemStep[]): void {
  const dev = points.ensure(Buffer.from('/dev'), 'directory')
  const at = (name: string) => join(dev, Buffer.from(name))
  points.tmpfs(dev, 0o755, {nosuid: true, noexec: true, nodev: !options.opensNodes}, DEV_BYTES)
  for (const name of NODES) {
    const source = Buffer.from(`/dev/${name}`)
    if (host.lstat(source)?.type === 'character') bindNode(points, source, at(name))
    else if (name === 'null')
      throw new LaunchError('cannot show /dev/null to the container: the host has no such device')
  }
  // Without a terminal what is written to the console is dropped; it is never the host's own.
  bindNode(points, options.terminal ?? Buffer.from('/dev/null'), at('console'))
  points.steps.push(
    {kind: 'directory', target: at('pts'), mode: 0o755},
    {kind: 'directory', target: at('mqueue'), mode: 0o755},
  )
  points.steps.push({kind: 'directory', target: at('shm'), mode: 0o755})
  points.tmpfs(at('shm'), 0o1777, PRIVATE)
  for (const [name, to] of [
    ['ptmx', 'pts/ptmx'],
    ['fd', '/proc/self/fd'],
    ['stdin', '/proc/self/fd/0'],
    ['stdout', '/proc/self/fd/1'],
    ['stderr', '/proc/self/fd/2'],
  ] as const)
    points.steps.push({kind: 'symlink', target: at(name), to: Buffer.from(to)})
  inner.push({kind: 'devpts', target: at('pts')}, {kind: 'mqueue', target: at('mqueue')})
}

/**
 * /tmp and /run. A root of its own keeps its /tmp, as an image's is with other container programs. Setuid files are
 * let be: these file systems exist in the container alone, where such files lead to its own ids.
 */
function planScratch(options: FilesystemOptions, points: MountPoints): void {
  const run = points.ensure(Buffer.from('/run'), 'directory')
  points.tmpfs(run, 0o755, PRIVATE)
  points.steps.push({kind: 'directory', target: join(run, Buffer.from('lock')), mode: 0o1777})
  const tmp = points.ensure(Buffer.from('/tmp'), 'directory', 0o1777)
  if (options.rootfs === undefined || options.readOnly) points.tmpfs(tmp, 0o1777, {nodev: !options.opensNodes})
}

/** The current directory, --bind, --tmpfs, --device and what families show: outer ones first, whatever their order. */
function planRequests(options: FilesystemOptions, host: Host, points: MountPoints): void {
  const requests: MountRequest[] = [
    ...(options.rootfs === undefined && options.bindCurrentDirectory ? [currentDirectoryRequest(options, host)] : []),
    ...options.binds.map((bind) => bindRequest(bind, options, host)),
    ...options.tmpfs.map((target) => tmpfsRequest(target, options)),
    ...options.devices.map((device) => deviceRequest(device, options, host)),
  ]
  requests.push(...options.nodes.map((node) => ownNodeRequest(node, options)))
  requests.push(
    ...options.shown.flatMap((source) => {
      const request = shownRequest(source, options, host)
      // What a request shows anyway needs no second mount.
      return requests.some(({target}) => below(request.target, target)) ? [] : [request]
    }),
  )
  const seen = new Set<string>()
  for (const {target} of requests) {
    const key = target.toString('latin1')
    if (seen.has(key)) throw new UsageError(`cannot mount at ${display(target)} twice`)
    seen.add(key)
  }
  const isOutermost = ({target}: MountRequest) =>
    !requests.some((other) => !other.target.equals(target) && below(target, other.target) !== undefined)
  for (const request of requests.filter(isOutermost)) points.prepare(request.target)
  for (const request of requests.toSorted((a, b) => components(a.target).length - components(b.target).length))
    request.mount(points)
}

function currentDirectoryRequest(options: FilesystemOptions, host: Host): MountRequest {
  const path = options.currentDirectory
  return treeRequest({source: path, target: path, readOnly: options.readOnly, idmap: !options.rootless}, options, host)
}

function bindRequest(bind: BindOption, options: FilesystemOptions, host: Host): MountRequest {
  const source = resolveOnHost(host, absolute(bind.source, options.currentDirectory))
  if (source.facts === undefined)
    throw new UsageError(`cannot bind ${display(bind.source)}: there is nothing of that name`, {
      hints: ['create it first, or mend the name'],
    })
  const target = normal('--bind', absolute(bind.target ?? bind.source, options.currentDirectory))
  return treeRequest(
    {source: source.path, target, readOnly: bind.readOnly, idmap: bind.shift !== false && !options.rootless},
    options,
    host,
  )
}

/** A file or directory of the host, with what is mounted below it where that can be had under the same ids. */
function treeRequest(
  {source, target, readOnly, idmap}: {source: Buffer; target: Buffer; readOnly: boolean; idmap: boolean},
  options: FilesystemOptions,
  host: Host,
): MountRequest {
  const named = host.lstat(source)
  const type = named?.type
  if (type === 'block' || type === 'character') return bindNodeRequest(source, target, named)
  const flags: MountFlags = {...(readOnly ? {readOnly: true} : {}), nodev: !options.opensNodes}
  return {
    target,
    mount(points) {
      const at = points.ensure(target, type === 'directory' ? 'directory' : 'file')
      points.bind({
        source,
        target: at,
        idmap,
        recursive: isRecursive(source, idmap, host),
        flags,
        ...(named && {named: {identity: named.identity}}),
      })
    },
  }
}

function tmpfsRequest(path: Buffer, options: FilesystemOptions): MountRequest {
  const target = normal('--tmpfs', absolute(path, ROOT))
  return {
    target,
    mount: (points) => points.tmpfs(points.ensure(target, 'directory'), 0o1777, {nodev: !options.opensNodes}),
  }
}

/** Images are as writable as their files: mounting writes to them too. */
function shownRequest(path: Buffer, options: FilesystemOptions, host: Host): MountRequest {
  const {path: source, facts} = resolveOnHost(host, absolute(path, options.currentDirectory))
  if (facts === undefined)
    throw new UsageError(`cannot show ${display(path)} to the container: there is nothing of that name`)
  return treeRequest({source, target: source, readOnly: false, idmap: !options.rootless}, options, host)
}

/** Names are looked up as on the host: the file that /etc/resolv.conf leads to there is shown where it leads to inside. */
function planResolver(options: FilesystemOptions, host: Host, points: MountPoints): void {
  const name = Buffer.from('/etc/resolv.conf')
  const source = resolveOnHost(host, name)
  if (source.facts?.type !== 'file') return
  const target = points.resolve(name).path
  if (options.rootfs === undefined && target.equals(source.path) && !points.isReplaced(target)) return
  if (host.lstat(join(options.rootfs ?? ROOT, ...components(target)))?.type === 'directory') return
  const at = points.ensure(target, 'file')
  points.bind({source: source.path, target: at, idmap: false, recursive: false, flags: {...SHOWN, noexec: true}})
}

/** Where lxcfs(1) runs, the files that it has show the limits of the container instead of the host's resources. */
function planLxcfs(host: Host, inner: FilesystemStep[]): void {
  for (const name of LXCFS_FILES) {
    const source = Buffer.from(`/var/lib/lxcfs/proc/${name}`)
    if (host.lstat(source)?.type !== 'file') continue
    const target = Buffer.from(`/proc/${name}`)
    inner.push({kind: 'bind', source, target, idmap: false, recursive: false, flags: PRIVATE, inside: true})
  }
}

function planWorkdir(options: FilesystemOptions, points: MountPoints): Buffer {
  if (options.workdir === undefined) return options.rootfs === undefined ? options.currentDirectory : ROOT
  if (!isAbsolute(options.workdir) && options.rootfs !== undefined)
    throw new UsageError(`cannot use --workdir ${display(options.workdir)}: with --rootfs it must be an absolute path`)
  const path = absolute(options.workdir, options.currentDirectory)
  if (points.resolve(path).path.equals(ROOT)) return ROOT
  try {
    return points.ensure(path, 'directory')
  } catch (cause) {
    if (!(cause instanceof UsageError)) throw cause
    throw new UsageError(
      `cannot use --workdir ${display(path)}: it is not in the container, and cannot be made there`,
      {
        hints: ['name a directory that exists, or one below /mnt, /tmp or /run'],
      },
    )
  }
}

/**
 * Mounts below come along where all of them can be idmapped as well. Without id-mapping they always do: a user
 * namespace may not take a tree apart (has_locked_children in fs/namespace.c).
 */
function isRecursive(source: Buffer, idmap: boolean, host: Host): boolean {
  if (!idmap) return true
  return host
    .mountPoints()
    .filter(({path}) => (below(path, source)?.length ?? 0) > 0)
    .every(({type, idmapped}) => IDMAPPABLE.has(type) && !idmapped)
}
