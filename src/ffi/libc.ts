// Functions of the C library that interceptor calls. Each throws SystemError on failure, but for those named raw.

import {F_DUPFD_CLOEXEC} from '../kernel/constants.js'
import {ERRNO} from '../kernel/errno.js'
import {declare, declareCall, declareInt, declareLong} from './declare.js'
import {SystemError} from './errors.js'

export {FixedMemory, cString, declare, declareInt, declareLong, declareRaw, lastErrno} from './declare.js'

// Files. O_CLOEXEC is the caller's to pass; every call site does.
export const openat = declare('openat', ['fd', 'path', 'int', 'uint'])
export const close = declare('close', ['fd'])
export const read = declareLong('read', ['fd', 'buffer', 'size'])
export const write = declareLong('write', ['fd', 'buffer', 'size'])
export const pread = declareLong('pread', ['fd', 'buffer', 'size', 'long'], 'pread64')
/** The same into memory that is used again and again, by its address. */
export const preadInto = declareLong('pread', ['fd', 'address', 'size', 'long'], 'pread64')
export const pwrite = declareLong('pwrite', ['fd', 'buffer', 'size', 'long'], 'pwrite64')
export const pipe2 = declare('pipe2', ['buffer', 'int'])
export const dup3 = declare('dup3', ['fd', 'fd', 'int'])
export const fcntl = declare('fcntl', ['fd', 'int', 'long'])
export const lseek = declareLong('lseek', ['fd', 'long', 'int'])
export const ftruncate = declare('ftruncate', ['fd', 'long'])
export const readlinkat = declareLong('readlinkat', ['fd', 'path', 'buffer', 'size'])
/** The same into memory that is used again and again, by its address. */
export const readlinkInto = declareLong('readlinkat', ['fd', 'path', 'address', 'size'])
export const mkdirat = declare('mkdirat', ['fd', 'path', 'uint'])
/** `dev` as encodeDevice() gives it. */
export const mknodat = declare('mknodat', ['fd', 'path', 'uint', 'ulong'])
export const symlinkat = declare('symlinkat', ['path', 'fd', 'path'])
export const linkat = declare('linkat', ['fd', 'path', 'fd', 'path', 'int'])
export const unlinkat = declare('unlinkat', ['fd', 'path', 'int'])
export const renameat2 = declare('renameat2', ['fd', 'path', 'fd', 'path', 'uint'])
export const fchmodat = declare('fchmodat', ['fd', 'path', 'uint', 'int'])
export const fchmod = declare('fchmod', ['fd', 'uint'])
export const fchownat = declare('fchownat', ['fd', 'path', 'uint', 'uint', 'int'])
export const fchown = declare('fchown', ['fd', 'uint', 'uint'])
/** `times`: two struct timespec, or null for now. */
export const utimensat = declare('utimensat', ['fd', 'path', 'buffer', 'int'])
export const faccessat = declare('faccessat', ['fd', 'path', 'int', 'int'])
export const flock = declare('flock', ['fd', 'int'])

// Extended attributes. For an O_PATH descriptor pass /proc/self/fd/N.
export const setxattr = declare('setxattr', ['path', 'path', 'buffer', 'size', 'int'])
export const lsetxattr = declare('lsetxattr', ['path', 'path', 'buffer', 'size', 'int'])
export const fsetxattr = declare('fsetxattr', ['fd', 'path', 'buffer', 'size', 'int'])
export const getxattr = declareLong('getxattr', ['path', 'path', 'buffer', 'size'])
export const lgetxattr = declareLong('lgetxattr', ['path', 'path', 'buffer', 'size'])
export const fgetxattr = declareLong('fgetxattr', ['fd', 'path', 'buffer', 'size'])
export const listxattr = declareLong('listxattr', ['path', 'buffer', 'size'])
export const llistxattr = declareLong('llistxattr', ['path', 'buffer', 'size'])
export const flistxattr = declareLong('flistxattr', ['fd', 'buffer', 'size'])
export const removexattr = declare('removexattr', ['path', 'path'])
export const lremovexattr = declare('lremovexattr', ['path', 'path'])
export const fremovexattr = declare('fremovexattr', ['fd', 'path'])

// Waiting.
export const eventfd = declare('eventfd', ['uint', 'int'], 'eventfd2')
/** `fds`: struct pollfd array (8 bytes each: int32 fd, int16 events, int16 revents). */
export const poll = declare('poll', ['buffer', 'ulong', 'int'])
/** The same for memory that is used again and again, by its address. */
export const pollAt = declare('poll', ['address', 'ulong', 'int'])

// Sockets.
export const socketpair = declare('socketpair', ['int', 'int', 'int', 'buffer'])
export const recv = declareLong('recv', ['fd', 'buffer', 'size', 'int'])
export const send = declareLong('send', ['fd', 'buffer', 'size', 'int'])

// Processes.
export const kill = declare('kill', ['int', 'int'])
export const geteuid = declareInt('geteuid', [])
export const getpid = declareInt('getpid', [])
export const prctl = declare('prctl', ['int', 'ulong', 'ulong', 'ulong', 'ulong'])
export const unshare = declare('unshare', ['int'])
export const setns = declare('setns', ['fd', 'int'])
export const chroot = declare('chroot', ['path'])
export const fchdir = declare('fchdir', ['fd'])
export const sched_getparam = declare('sched_getparam', ['int', 'buffer'])
export const sched_getscheduler = declare('sched_getscheduler', ['int'])
export const sched_setparam = declare('sched_setparam', ['int', 'buffer'])
export const sched_setscheduler = declare('sched_setscheduler', ['int', 'int', 'buffer'])

// Mounts of the old interface; the new one is in mount.ts.
export const mount = declare('mount', ['buffer', 'path', 'buffer', 'ulong', 'buffer'])
export const umount2 = declare('umount2', ['path', 'int'])

/** ioctl(2) with a pointer argument. `request` is unsigned; the fixed prototype is right on x86-64 and arm64. */
export const ioctl = declare('ioctl', ['fd', 'ulong', 'buffer'])
export const ioctlNumber = declare('ioctl', ['fd', 'ulong', 'long'])

// System calls that the C library does not wrap everywhere.
export const pidfd_open = declareCall('pidfd_open', ['int', 'uint'])
const callPidfdGetfd = declareCall('pidfd_getfd', ['fd', 'int', 'uint'])
const callPidfdSendSignal = declareCall('pidfd_send_signal', ['fd', 'int', 'buffer', 'uint'])

/** A close-on-exec duplicate of descriptor `fd` of the process. */
export function pidfd_getfd(pidfd: number, fd: number): number {
  return callPidfdGetfd(pidfd, fd, 0)
}

export function pidfd_send_signal(pidfd: number, signal: number): void {
  callPidfdSendSignal(pidfd, signal, null, 0)
}

/** close(2) for paths where another failure is already on its way: EBADF is a bug and still thrown. */
export function closeQuietly(fd: number): void {
  try {
    close(fd)
  } catch (error) {
    if (error instanceof SystemError && error.errno === ERRNO.EBADF) throw error
  }
}

/** Runs `call` again while it fails with EINTR. */
export function retryInterrupted<T>(call: () => T): T {
  for (;;) {
    try {
      return call()
    } catch (error) {
      if (!(error instanceof SystemError && error.errno === ERRNO.EINTR)) throw error
    }
  }
}

const callKcmp = declareCall('kcmp', ['int', 'int', 'int', 'ulong', 'ulong'])
const KCMP_FILES = 2

/** Whether two tasks share their descriptor table (kcmp(2)). */
export function shareDescriptors(tid: number, other: number): boolean {
  return callKcmp(tid, other, KCMP_FILES, 0, 0) === 0
}

const callAbort = declareInt('abort', [])

/** Ends the process at once, from whichever thread, after one line on stderr: for a privilege that can't be given back. */
export function abort(message: string): never {
  try {
    write(2, Buffer.from(`interceptor: ${message}\n`), Buffer.byteLength(message) + 14)
  } finally {
    callAbort()
  }
  throw new Error(message)
}

/** A second descriptor of the same open file, or of the same O_PATH place; not below `lowest`. */
export function duplicateCloseOnExec(fd: number, lowest = 3): number {
  return fcntl(fd, F_DUPFD_CLOEXEC, lowest)
}
