// Where the cgroup hierarchies of a host are mounted, and which directory of each a process is in.

import {accessSync, closeSync, constants, openSync, readFileSync, readdirSync, writeSync} from 'node:fs'

/** The host as cgroup code sees it; tests put a recorded tree in the place of `/`. */
export interface CgroupHost {
  /** Prefix of every path, empty for the real host. */
  readonly root: string
  /** The supervisor. */
  readonly pid: number
  readonly mayWrite: (path: string) => boolean
}

export const thisHost = (): CgroupHost => ({
  root: '',
  pid: process.pid,
  mayWrite(path) {
    try {
      accessSync(path, constants.W_OK)
      return true
    } catch {
      return false
    }
  },
})

/** One mounted hierarchy. Paths carry the host's `root`. */
export interface CgroupPlace {
  readonly mountPoint: string
  /** Directory of the process, at or below the mount point. */
  readonly own: string
}

export interface Hierarchies {
  /** By controller. Controllers that are mounted together have the same place. */
  readonly v1: ReadonlyMap<string, CgroupPlace>
  readonly unified: CgroupPlace | undefined
}

/** Hierarchies whose mount shows the cgroup of `pid`; see cgroups(7) and proc_pid_mountinfo(5). */
export function findHierarchies(host: CgroupHost, pid = host.pid): Hierarchies {
  const mounts = readMounts(readFileSync(`${host.root}/proc/self/mountinfo`, 'utf8'))
  const v1 = new Map<string, CgroupPlace>()
  let unified: CgroupPlace | undefined
  for (const line of lines(readFileSync(`${host.root}/proc/${pid}/cgroup`, 'utf8'))) {
    // hierarchy-ID:controller-list:cgroup-path; the path may hold colons.
    const [id, controllers] = line.split(':', 2)
    if (id === undefined || controllers === undefined) continue
    const path = line.slice(id.length + controllers.length + 2)
    if (id === '0' && controllers === '') {
      unified = findPlace(host, mounts, path, ({type}) => type === 'cgroup2')
      continue
    }
    const names = controllers.split(',')
    const place = findPlace(host, mounts, path, ({type, options}) => {
      return type === 'cgroup' && names.every((name) => options.includes(name))
    })
    if (place !== undefined) for (const name of names) v1.set(name, place)
  }
  return {v1, unified}
}

/** Where this host has its unified hierarchy, if anywhere. */
export function unifiedMountPoint(): Buffer | undefined {
  const {unified} = findHierarchies(thisHost())
  return unified === undefined ? undefined : Buffer.from(unified.mountPoint)
}

interface CgroupMount {
  /** What of the hierarchy is mounted: a directory of it. */
  readonly root: string
  readonly mountPoint: string
  readonly type: string
  readonly options: readonly string[]
}

function readMounts(mountinfo: string): readonly CgroupMount[] {
  return lines(mountinfo).flatMap((line): CgroupMount[] => {
    const [head = '', tail = ''] = line.split(' - ', 2)
    const [, , , root, mountPoint] = head.split(' ')
    const [type, , options] = tail.split(' ')
    if (root === undefined || mountPoint === undefined || options === undefined) return []
    if (type !== 'cgroup' && type !== 'cgroup2') return []
    return [{root: unescape(root), mountPoint: unescape(mountPoint), type, options: options.split(',')}]
  })
}

function findPlace(
  {root}: CgroupHost,
  mounts: readonly CgroupMount[],
  path: string,
  holds: (mount: CgroupMount) => boolean,
): CgroupPlace | undefined {
  for (const mount of mounts) {
    if (!holds(mount)) continue
    const below = relativeTo(mount.root, path)
    if (below === undefined) continue
    return {mountPoint: root + mount.mountPoint, own: root + mount.mountPoint + below}
  }
  return undefined
}

/** What remains of `path` below the mounted part of the hierarchy; undefined where the mount does not show it. */
function relativeTo(mountRoot: string, path: string): string | undefined {
  // `/..` stands for what lies outside of the cgroup namespace: cgroup_namespaces(7).
  if (path.startsWith('/..') || mountRoot.startsWith('/..')) return undefined
  if (mountRoot === '/') return path === '/' ? '' : path
  if (path === mountRoot) return ''
  return path.startsWith(`${mountRoot}/`) ? path.slice(mountRoot.length) : undefined
}

/** Space, tab, newline and backslash are octal in mountinfo. */
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)))
}

/** Contents without the last newline; undefined where the file is not there or can't be read. */
export function readCgroupFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trimEnd()
  } catch {
    return undefined
  }
}

/** One write(2), which is how the kernel takes a setting; the file is never made. */
export function writeCgroupFile(path: string, value: string): void {
  const fd = openSync(path, constants.O_WRONLY)
  try {
    writeSync(fd, value)
  } finally {
    closeSync(fd)
  }
}

/** Pids, or other words, of a cgroup file. */
export function words(text: string | undefined): readonly string[] {
  return text === undefined ? [] : text.split(/\s+/).filter((word) => word !== '')
}

/** Directories below, deepest first, so that each can be removed in turn. */
export function subdirectories(directory: string): readonly string[] {
  let entries
  try {
    entries = readdirSync(directory, {withFileTypes: true})
  } catch {
    return []
  }
  return entries
    .filter((entry) => entry.isDirectory())
    .flatMap(({name}) => [...subdirectories(`${directory}/${name}`), `${directory}/${name}`])
}

/** Field 22 of proc_pid_stat(5): when the process began, in clock ticks after boot. Undefined when it is gone. */
export function startTime({root}: CgroupHost, pid: number): string | undefined {
  return statFields(root, pid)?.[19]
}

/** The process that started it; undefined when it is gone. */
export function parentOf({root}: CgroupHost, pid: number): number | undefined {
  const parent = Number(statFields(root, pid)?.[1])
  return parent > 0 ? parent : undefined
}

/** Fields after the name, which may itself hold spaces and brackets; the first is field 3, the state. */
function statFields(root: string, pid: number): readonly string[] | undefined {
  const stat = readCgroupFile(`${root}/proc/${pid}/stat`)
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')
}

function lines(text: string): readonly string[] {
  return text.split('\n').filter((line) => line !== '')
}
