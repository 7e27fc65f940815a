// Everything that launching needs, decided before anything is done. Pure data; launch/index.ts carries it out.

import type {IdMapExtent} from '../intercept/container.js'
import type {Device} from '../kernel/device-numbers.js'

/** Flags of one mount in the container. What is set here the container can't clear (locked by the namespace copy). */
export interface MountFlags {
  readonly readOnly?: boolean
  readonly nosuid?: boolean
  readonly nodev?: boolean
  readonly noexec?: boolean
}

/**
 * The person named this source: it was opened before anything was planned, and nothing else is mounted in its place,
 * whatever another container has made its path lead to. `identity`: `DEV:INODE` of stat(2).
 */
export interface Named {
  readonly identity: string
}

/**
 * Steps that build the container's file system, carried out in order by interceptor-init. `target` is an absolute path
 * in the container, resolved below its root without leaving it. Paths are bytes: they need not be UTF-8.
 *
 * The first group happens in a mount namespace that the container does not own, before its own is copied from it, so
 * that the kernel locks flags and covers. The second group happens inside the container's own mount namespace.
 */
export type FilesystemStep =
  /** The root itself: a recursive bind of `source` with `flags` on every mount below. Always first. */
  | {
      readonly kind: 'root'
      readonly source: Buffer
      readonly idmap: boolean
      readonly recursive: boolean
      readonly flags: MountFlags
      readonly named?: Named
    }
  | {
      readonly kind: 'bind'
      readonly source: Buffer
      readonly target: Buffer
      readonly idmap: boolean
      readonly recursive: boolean
      readonly flags: MountFlags
      /** In the second group, over a file system of the container's own. */
      readonly inside?: true
      readonly named?: Named
    }
  /** Owned by the container's root. `sizeBytes` 0: the kernel's default. */
  | {
      readonly kind: 'tmpfs'
      readonly target: Buffer
      readonly mode: number
      readonly sizeBytes: number
      readonly flags: MountFlags
    }
  /** Directory, with its missing ancestors (0755), or empty file; existing ones are left as they are. */
  | {readonly kind: 'directory'; readonly target: Buffer; readonly mode: number}
  | {readonly kind: 'file'; readonly target: Buffer; readonly mode: number}
  | {readonly kind: 'symlink'; readonly target: Buffer; readonly to: Buffer}
  /** A node of the supervisor's own over an existing file. Ids as the supervisor's user namespace has them. Needs CAP_MKNOD. */
  | {
      readonly kind: 'node'
      readonly target: Buffer
      readonly device: Device
      readonly mode: number
      readonly uid: number
      readonly gid: number
    }
  /** Makes the one mount at `target` read-only (a skeleton directory, after its mount points exist). */
  | {readonly kind: 'seal'; readonly target: Buffer}
  /** Before the old root is detached: a visible proc or sysfs must be in the namespace (mount_too_revealing in fs/namespace.c). */
  | {readonly kind: 'proc'; readonly target: Buffer}
  | {readonly kind: 'devpts'; readonly target: Buffer}
  | {readonly kind: 'mqueue'; readonly target: Buffer}
  | {readonly kind: 'sysfs'; readonly target: Buffer}
  /** The container's own cgroup and those below it. */
  | {readonly kind: 'cgroup2'; readonly target: Buffer}

export interface LaunchPlan {
  readonly name: string
  /** Enter this container instead of making one: pidfd of its PID 1. Nothing is mapped, mounted or removed then. */
  readonly join?: number
  readonly rootless: boolean
  readonly uidMap: readonly IdMapExtent[]
  readonly gidMap: readonly IdMapExtent[]
  readonly filesystem: readonly FilesystemStep[]
  readonly network: 'host' | 'none'
  readonly hostname: string
  /** The host name was asked for by name: without it the container is not started. */
  readonly insistsOnHostname?: boolean
  /** Ids in the container. */
  readonly uid: number
  readonly gid: number
  readonly workdir: Buffer
  readonly environment: readonly Buffer[]
  /** argv[0] is looked up along PATH of `environment` inside the container unless it has a slash. */
  readonly command: readonly Buffer[]
  /** Signals (numbers) that were ignored when interceptor was started and stay so for the command. */
  readonly ignoredSignals: readonly number[]
  /** struct sock_filter array without a listener: what is always denied; init carries it too. */
  readonly denyFilter: Buffer
  /** struct sock_filter array with SECCOMP_RET_USER_NOTIF; undefined when nothing is intercepted. */
  readonly notifyFilter: Buffer | undefined
  readonly waitKillable: boolean
  /** Our own standard output is for something else: what the command writes there goes to standard error. */
  readonly stdoutToStderr?: boolean
  /** Socket over which the supervisor has programs started in the container; stays the caller's. Not with `join`. */
  readonly spawner?: number
  /** Path of the terminal for /dev/console, if any of the three streams is one. */
  readonly terminal: Buffer | undefined
  /** Host paths of files and empty directories (cgroups) to remove at the end, also when the supervisor was killed. */
  readonly remove: readonly Buffer[]
}
