// The task that a pid of a caller means: looked up in the caller's own pid namespace, never among the host's.

import {readdirSync} from 'node:fs'

import {SystemError, isSystemError} from '../../../ffi/errors.js'
import {close, closeQuietly, openat, read} from '../../../ffi/libc.js'
import {fstat} from '../../../ffi/mount.js'
import {openParentNamespace, openPidNamespace, openTask, pidFromNamespace} from '../../../ffi/scheduler.js'
import {O_CLOEXEC, O_RDONLY} from '../../../kernel/constants.js'
import {ERRNO} from '../../../kernel/errno.js'
import {isMapped} from '../../caller/id-map.js'
import {STATUS_BYTES_MAX} from '../../caller/status-reader.js'
import {parseStatus} from '../../caller/status.js'
import type {ThreadStatus} from '../../caller/status.js'
import type {ContainerDescription} from '../../container.js'
import type {Caller} from '../../family.js'

/** MAX_PID_NS_LEVEL of kernel/pid_namespace.c. */
const NAMESPACE_LEVELS_MAX = 32

export interface TargetTask {
  /** As the supervisor sees it. Only while `isStill` it is this task's. */
  readonly tid: number
  /** Effective user, as the supervisor sees it. */
  readonly uid: number
  /** Whether the number still belongs to the task that was looked up. */
  isStill(): boolean
}

/**
 * Runs `action` with the thread that `pid` means to `caller`; 0 is the caller itself. Throws ESRCH where there is none
 * in the caller's pid namespace, which is the container's or one below it, and EPERM for one whose user the container
 * does not have.
 */
export function withTarget<T>(
  pid: number,
  caller: Caller,
  container: ContainerDescription,
  action: (target: TargetTask) => T,
  translate = translatePid,
): T {
  const own = openTask(caller.tid)
  let namespace = -1
  let task = -1
  try {
    caller.assertAlive()
    namespace = openPidNamespace(own)
    const tid = pid === 0 ? caller.tid : translate(namespace, pid, depthOf(own))
    task = openTask(tid)
    const status = statusOf(task)
    const namespaces = namespacesOf(task)
    const isOwn = namespaces.includes(fstat(namespace).inode) && namespaces.includes(BigInt(container.namespaces.pid))
    const isSame = pid === 0 || status?.namespaceTids[depthOf(own)] === pid
    // The number was given up, and taken by somebody else, between two looks.
    if (status === undefined || !isOwn || !isSame) throw new SystemError('find_get_task', ERRNO.ESRCH)
    if (!isMapped(container.uidMap, status.uid)) throw new SystemError('find_get_task', ERRNO.EPERM)
    const held = task
    return action({tid, uid: status.uid, isStill: () => quietly(() => statusOf(held)) !== undefined})
  } catch (error) {
    throw isSystemError(error, ERRNO.ENOENT) ? new SystemError('find_get_task', ERRNO.ESRCH) : error
  } finally {
    for (const fd of [own, namespace, task]) if (fd !== -1) closeQuietly(fd)
  }
}

/** `depth`: the column of that namespace in lines of /proc. */
export function translatePid(namespace: number, pid: number, depth: number): number {
  try {
    return pidFromNamespace(namespace, pid)
  } catch (error) {
    if (!isSystemError(error, ERRNO.ENOTTY) && !isSystemError(error, ERRNO.EINVAL)) throw error
    return findInProc(namespace, pid, depth)
  }
}

/** Before Linux 6.11: every task that shows this number in that column, until one is in the namespace. */
export function findInProc(namespace: number, pid: number, depth: number): number {
  const wanted = fstat(namespace).inode
  for (const leader of numbersIn('/proc')) {
    const first = quietly(() => withTask(leader, statusOf))
    if (first === undefined || first.namespaceTids.length <= depth) continue
    const threads = first.namespaceTids[depth] === pid ? [leader] : numbersIn(`/proc/${leader}/task`)
    for (const tid of threads) {
      const isIt = quietly(() =>
        withTask(tid, (task) => statusOf(task)?.namespaceTids[depth] === pid && namespacesOf(task).includes(wanted)),
      )
      if (isIt === true) return tid
    }
  }
  throw new SystemError('find_get_task', ERRNO.ESRCH)
}

/** Inode numbers of the pid namespaces that a task is in, its own first. */
function namespacesOf(task: number): bigint[] {
  const inodes: bigint[] = []
  let at = openPidNamespace(task)
  try {
    for (let level = 0; level <= NAMESPACE_LEVELS_MAX; level++) {
      inodes.push(fstat(at).inode)
      const parent = openParentNamespace(at)
      closeQuietly(at)
      at = parent
    }
  } catch (error) {
    // Above our own.
    if (!isSystemError(error, ERRNO.EPERM)) throw error
  } finally {
    closeQuietly(at)
  }
  return inodes
}

function depthOf(task: number): number {
  const status = statusOf(task)
  if (status === undefined) throw new SystemError('open', ERRNO.ESRCH)
  return status.namespaceTids.length - 1
}

/** undefined for a task that is going away. */
function statusOf(task: number): ThreadStatus | undefined {
  const fd = openat(task, 'status', O_RDONLY | O_CLOEXEC, 0)
  try {
    const pieces: Buffer[] = []
    for (let length = 0; length < STATUS_BYTES_MAX;) {
      const piece = Buffer.allocUnsafe(8192)
      const count = read(fd, piece, piece.length)
      if (count === 0) break
      pieces.push(piece.subarray(0, count))
      length += count
    }
    return parseStatus(Buffer.concat(pieces))
  } finally {
    close(fd)
  }
}

function withTask<T>(tid: number, action: (task: number) => T): T {
  const task = openTask(tid)
  try {
    return action(task)
  } finally {
    close(task)
  }
}

function numbersIn(directory: string): number[] {
  try {
    return readdirSync(directory).map(Number).filter(Number.isInteger)
  } catch {
    // A process that has ended.
    return []
  }
}

function quietly<T>(action: () => T): T | undefined {
  try {
    return action()
  } catch (error) {
    if (error instanceof SystemError) return undefined
    throw error
  }
}
