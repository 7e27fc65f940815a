// Scheduling of other threads, and ids of one pid namespace in another. Raw calls: musl wraps none of these.

import {declareLong} from './declare.js'
import {AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_PATH, O_RDONLY, ioctlNumber, openat} from './libc.js'

const NUMBERS =
  process.arch === 'arm64'
    ? {setparam: 118, setscheduler: 119, setattr: 274, getscheduler: 120}
    : {setparam: 142, setscheduler: 144, setattr: 314, getscheduler: 145}

/** linux/nsfs.h */
const NS_GET_PARENT = 0xb702
/** Linux 6.11. */
const NS_GET_PID_FROM_PIDNS = 0x8004b706

const callSetscheduler = declareLong('syscall', ['long', 'int', 'int', 'buffer'], 'sched_setscheduler')
const callSetparam = declareLong('syscall', ['long', 'int', 'buffer'], 'sched_setparam')
const callSetattr = declareLong('syscall', ['long', 'int', 'buffer', 'ulong'], 'sched_setattr')

const callGetscheduler = declareLong('syscall', ['long', 'int'], 'sched_getscheduler')

/** The policy; SCHED_RESET_ON_FORK among its bits. */
export function getScheduler(tid: number): number {
  return callGetscheduler(NUMBERS.getscheduler, tid)
}

export function setScheduler(tid: number, policy: number, priority: number): void {
  callSetscheduler(NUMBERS.setscheduler, tid, policy, Int32Array.of(priority))
}

export function setParameter(tid: number, priority: number): void {
  callSetparam(NUMBERS.setparam, tid, Int32Array.of(priority))
}

/** `attributes`: struct sched_attr, its size in the first four bytes. */
export function setAttributes(tid: number, attributes: Uint8Array): void {
  callSetattr(NUMBERS.setattr, tid, attributes, 0)
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
