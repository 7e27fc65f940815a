// What the supervisor knows of a container, whoever made it. Plain data: it crosses to the worker by structured clone.

/** One line of /proc/PID/uid_map, as the supervisor's user namespace sees it. */
export interface IdMapExtent {
  readonly inside: number
  readonly outside: number
  readonly count: number
}

/** Directories of the container's cgroup, each absolute; absent where the controller is not there. */
export interface CgroupDescription {
  readonly version: 1 | 2
  /** The mount point up to which ancestors are looked at, and the container's own directory. */
  readonly memory?: {readonly top: string; readonly own: string}
  readonly pids?: {readonly top: string; readonly own: string}
  readonly cpu?: {readonly top: string; readonly own: string}
  /** The v2 directory, also on hybrid hosts (bpf). */
  readonly unified?: {readonly top: string; readonly own: string}
}

/** Super blocks before anything of the container had run, as major:minor of proc_pid_mountinfo(5). */
export interface SuperBlocks {
  /** Mounted on the host, or seen in the container and not made for it. */
  readonly host: readonly string[]
  /** Those of them that show ids of the container wherever a mount of them maps ids at all. */
  readonly mapped: readonly string[]
}

/** The directories from `own` up to and with `top`. */
export function ancestry({top, own}: {readonly top: string; readonly own: string}): readonly string[] {
  const directories = [own]
  for (let at = own; at !== top && at.startsWith(`${top}/`);) {
    at = at.slice(0, at.lastIndexOf('/'))
    directories.push(at)
  }
  return directories
}

export interface ContainerDescription {
  readonly name: string
  /** Pid of the container's init, as the supervisor sees it. */
  readonly initPid: number
  /** Inode numbers of the container's namespaces (stat of /proc/PID/ns/...). */
  readonly namespaces: {readonly user: number; readonly mnt: number; readonly pid: number}
  readonly uidMap: readonly IdMapExtent[]
  readonly gidMap: readonly IdMapExtent[]
  readonly cgroup?: CgroupDescription
  /** The supervisor is itself in a user namespace that an ordinary user made. */
  readonly rootless: boolean
  /** CLOCK_BOOTTIME at which the container's init began, in milliseconds. */
  readonly startedMs: number
  /** Descriptor of the supervisor's: has programs started in the container. */
  readonly spawner?: number
  /** Where it is not known all is the host's. */
  readonly superBlocks?: SuperBlocks
}
