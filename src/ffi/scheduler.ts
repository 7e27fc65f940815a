// Scheduling of other threads, and ids of one pid namespace in another. Raw calls: musl wraps none of these.

import {AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_PATH, O_RDONLY} from '../kernel/constants.js'
import {declareCall} from './declare.js'
import {ioctlNumber, openat} from './libc.js'

/** linux/nsfs.h */
const NS_GET_PARENT = 0xb702
/** Linux 6.11. */
const NS_GET_PID_FROM_PIDNS = 0x8004b706

const callSetscheduler = declareCall('sched_setscheduler', ['int', 'int', 'buffer'])
const callSetparam = declareCall('sched_setparam', ['int', 'buffer'])
const callSetattr = declareCall('sched_setattr', ['int', 'buffer', 'uint'])

/** The policy of a thread; SCHED_RESET_ON_FORK among its bits. */
export const getScheduler = declareCall('sched_getscheduler', ['int'])

export function setScheduler(tid: number, policy: number, priority: number): void {
  callSetscheduler(tid, policy, Int32Array.of(priority))
}

export function setParameter(tid: number, priority: number): void {
  callSetparam(tid, Int32Array.of(priority))
}

/** `attributes`: struct sched_attr, its size in the first four bytes. */
export function setAttributes(tid: number, attributes: Uint8Array): void {
  callSetattr(tid, attributes, 0)
}

/** A descriptor of /proc/TID, which stays with that one task: once it is gone, nothing is found below it any more. */
export function openTask(tid: number): number {
  return openat(AT_FDCWD, `/proc/${tid}`, O_PATH | O_DIRECTORY | O_CLOEXEC, 0)
}

/** The active pid namespace of a task that `openTask` gave. */
export function openPidNamespace(task: number): number {
  return openat(task, 'ns/pid', O_RDONLY | O_CLOEXEC, 0)
}

/** Our id of the thread that is `pid` in that namespace. ENOTTY before Linux 6.11, ESRCH where there is none. */
export function pidFromNamespace(namespace: number, pid: number): number {
  return ioctlNumber(namespace, NS_GET_PID_FROM_PIDNS, pid)
}

/** EPERM above the namespace that we are in. */
export function openParentNamespace(namespace: number): number {
  return ioctlNumber(namespace, NS_GET_PARENT, 0)
}
