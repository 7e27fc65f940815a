// Functions of the C library that interceptor calls. Each throws SystemError on failure, but for those named raw.

import {ERRNO, SystemError} from './errors.js'
import {declare, declareInt, declareLong} from './declare.js'

export {FixedMemory, cString, declare, declareInt, declareLong, declareRaw, lastErrno} from './declare.js'

export const AT_FDCWD = -100
export const AT_SYMLINK_NOFOLLOW = 0x100
export const AT_REMOVEDIR = 0x200
export const AT_SYMLINK_FOLLOW = 0x400
export const AT_EMPTY_PATH = 0x1000

/** open(2). The numbers that differ on 32- and 64-bit ARM are chosen by `process.arch`. */
const isArm = process.arch === 'arm64' || process.arch === 'arm'
export const O_RDONLY = 0
export const O_WRONLY = 1
export const O_RDWR = 2
export const O_CREAT = 0o100
export const O_EXCL = 0o200
export const O_NOCTTY = 0o400
export const O_TRUNC = 0o1000
export const O_APPEND = 0o2000
export const O_NONBLOCK = 0o4000
export const O_DIRECTORY = isArm ? 0o40000 : 0o200000
export const O_NOFOLLOW = isArm ? 0o100000 : 0o400000
export const O_CLOEXEC = 0o2000000
export const O_PATH = 0o10000000

export const POLLIN = 0x1
export const POLLOUT = 0x4
export const POLLERR = 0x8
export const POLLHUP = 0x10

export const CLONE_NEWNS = 0x00020000
export const CLONE_FS = 0x00000200
export const CLONE_NEWUSER = 0x10000000
export const CLONE_NEWPID = 0x20000000
export const CLONE_NEWNET = 0x40000000

export const EFD_CLOEXEC = O_CLOEXEC
export const EFD_NONBLOCK = O_NONBLOCK

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
/** `dev` as makedev() gives it. */
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
export const MSG_NOSIGNAL = 0x4000
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

// system calls that the C library does not wrap everywhere, by number. Numbers above 423 are the same on all machines.
const callPidfdOpen = declareLong('syscall', ['long', 'long', 'ulong'], 'pidfd_open')
const callPidfdGetfd = declareLong('syscall', ['long', 'long', 'long', 'ulong'], 'pidfd_getfd')
const callPidfdSendSignal = declareLong('syscall', ['long', 'long', 'long', 'buffer', 'ulong'], 'pidfd_send_signal')

export const PIDFD_THREAD = O_EXCL

export function pidfd_open(pid: number, flags: number): number {
  return callPidfdOpen(434, pid, flags)
}

/** A close-on-exec duplicate of descriptor `fd` of the process. */
export function pidfd_getfd(pidfd: number, fd: number): number {
  return callPidfdGetfd(438, pidfd, fd, 0)
}

export function pidfd_send_signal(pidfd: number, signal: number): void {
  callPidfdSendSignal(424, pidfd, signal, null, 0)
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

/** The kernel's encoding of a device number as system calls take it (new_encode_dev is 32 bits: 12 of major, 20 of minor). */
export function makedev(major: number, minor: number): number {
  return ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xfff00) << 12)) >>> 0
}

const callKcmp = declareLong('syscall', ['long', 'long', 'long', 'long', 'ulong', 'ulong'], 'kcmp')
const KCMP_FILES = 2

/** Whether two tasks share their descriptor table (kcmp(2)). */
export function shareDescriptors(tid: number, other: number): boolean {
  return callKcmp(process.arch === 'arm64' ? 272 : 312, tid, other, KCMP_FILES, 0, 0) === 0
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

const F_DUPFD_CLOEXEC = 1030

/** A second descriptor of the same open file, or of the same O_PATH place; not below `lowest`. */
export function duplicateCloseOnExec(fd: number, lowest = 3): number {
  return fcntl(fd, F_DUPFD_CLOEXEC, lowest)
}
