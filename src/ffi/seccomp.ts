// The seccomp user notification descriptor: seccomp_unotify(2), include/uapi/linux/seccomp.h, kernel/seccomp.c.

import {O_CLOEXEC} from '../kernel/constants.js'
import {ERRNO} from '../kernel/errno.js'
import {
  SECCOMP_FILTER_FLAG_NEW_LISTENER,
  SECCOMP_GET_ACTION_AVAIL,
  SECCOMP_RET_ALLOW,
  SECCOMP_SET_MODE_FILTER,
} from '../kernel/names/seccomp.js'
import {FixedMemory, addressOf, declare, declareCall, declareUnchecked, lastErrno} from './declare.js'
import {SystemError} from './errors.js'

// As int: the kernel takes 32 bits, and numbers that V8 keeps as small integers pass faster.
const IOCTL_NOTIF_RECV = 0xc0502100 | 0
const IOCTL_NOTIF_SEND = 0xc0182101 | 0
const IOCTL_NOTIF_ID_VALID = 0x40082102
const IOCTL_NOTIF_ADDFD = 0x40182103
const IOCTL_NOTIF_SET_FLAGS = 0x40082104

const USER_NOTIF_FLAG_CONTINUE = 1
const USER_NOTIF_FD_SYNC_WAKE_UP = 1
const ADDFD_FLAG_SETFD = 1
const ADDFD_FLAG_SEND = 2

/** struct seccomp_notif and struct seccomp_notif_resp as this file reads and writes them. */
export const NOTIFICATION_BYTES = 80
const RESPONSE_BYTES = 24
const ADDFD_BYTES = 24

const ioctl = declareUnchecked('ioctl', 'int', ['int', 'int', 'address'])
const callSeccomp = declareCall('seccomp', ['uint', 'uint', 'buffer'])

export function isActionAvailable(action: number): boolean {
  try {
    callSeccomp(SECCOMP_GET_ACTION_AVAIL, 0, new Uint32Array([action]))
    return true
  } catch {
    return false
  }
}

/** SECCOMP_SET_MODE_FILTER with a null program: EFAULT says that the kernel knows all `flags`, EINVAL that it does not. */
export function areFilterFlagsKnown(flags: number): boolean {
  try {
    callSeccomp(SECCOMP_SET_MODE_FILTER, flags, null)
  } catch (error) {
    return error instanceof SystemError && error.errno === ERRNO.EFAULT
  }
  return false
}

const PR_SET_NO_NEW_PRIVS = 38
const BPF_RET_K = 0x06
const callPrctl = declare('prctl', ['int', 'ulong', 'ulong', 'ulong', 'ulong'])

/** A listener of a filter that notifies of nothing, on this thread for good. Throws EBUSY where a listener is around us. */
export function installEmptyListener(): number {
  callPrctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
  const program = Buffer.alloc(8)
  program.writeUInt16LE(BPF_RET_K, 0)
  program.writeUInt32LE(SECCOMP_RET_ALLOW, 4)
  const header = Buffer.alloc(16)
  header.writeUInt16LE(1, 0)
  header.writeBigUInt64LE(addressOf(program), 8)
  const listener = callSeccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, header)
  // The program must not be collected before the kernel has read it.
  if (program.length === 0) throw new Error('no program')
  return listener
}

/** Lets the kernel switch to us and back on the same processor; false where it is too old (before 6.6). */
export function setSyncWakeUp(listener: number): boolean {
  return ioctl(listener, IOCTL_NOTIF_SET_FLAGS, USER_NOTIF_FD_SYNC_WAKE_UP) === 0
}

/**
 * One notification at a time: the memory for receiving and answering it, used again for each. `words` is struct
 * seccomp_notif as 32-bit words; the id is only ever copied as two words.
 */
export class Notifier {
  readonly listener: number
  readonly #notification = new FixedMemory(NOTIFICATION_BYTES)
  readonly bytes = this.#notification.bytes
  readonly words = this.#notification.words
  readonly #response = new FixedMemory(RESPONSE_BYTES)
  readonly #addfd = new FixedMemory(ADDFD_BYTES)

  constructor(listener: number) {
    this.listener = listener
  }

  /** False where the caller was gone before it could be received (ENOENT) or a signal came; other errors are thrown. */
  receive(): boolean {
    // The kernel refuses memory that is not zeroed (seccomp_notify_recv).
    this.words.fill(0)
    if (ioctl(this.listener, IOCTL_NOTIF_RECV, this.#notification.address) === 0) return true
    const errno = lastErrno()
    if (errno === ERRNO.ENOENT || errno === ERRNO.EINTR || errno === ERRNO.EAGAIN) return false
    throw new SystemError('ioctl(SECCOMP_IOCTL_NOTIF_RECV)', errno)
  }

  /** Thread id of the caller as this process sees it; 0 where it is in no pid namespace below ours. */
  get tid(): number {
    return this.words[2]!
  }

  get number(): number {
    return this.words[4]! | 0
  }

  get arch(): number {
    return this.words[5]!
  }

  isValid(): boolean {
    // The id comes first. Only ENOENT says that the caller is gone: one that is taken for gone is never answered.
    for (;;) {
      if (ioctl(this.listener, IOCTL_NOTIF_ID_VALID, this.#notification.address) === 0) return true
      const errno = lastErrno()
      if (errno === ERRNO.ENOENT) return false
      if (errno !== ERRNO.EINTR) throw new SystemError('ioctl(SECCOMP_IOCTL_NOTIF_ID_VALID)', errno)
    }
  }

  /** Whether the answer arrived: false where the caller was gone (ENOENT) or somebody else had answered. */
  answer(value: number): boolean {
    const high = Math.floor(value / 2 ** 32)
    return this.#send(value >>> 0, high >>> 0, 0, 0)
  }

  fail(errno: number): boolean {
    return this.#send(0, 0, -errno, 0)
  }

  /** The kernel runs the call with the caller's own rights. */
  continue(): boolean {
    return this.#send(0, 0, 0, USER_NOTIF_FLAG_CONTINUE)
  }

  /**
   * Puts our `fd` into the caller and makes it the result of the call, in one step (5.14). The number in the caller, or
   * a negative errno: -ENOENT where the caller was gone, -EINVAL where the kernel is too old.
   */
  answerDescriptor(fd: number, closeOnExec: boolean): number {
    return this.#addDescriptor(fd, ADDFD_FLAG_SEND, 0, closeOnExec)
  }

  /** Puts our `fd` into the caller without answering; as number `at` where that is given. */
  addDescriptor(fd: number, closeOnExec: boolean, at?: number): number {
    return this.#addDescriptor(fd, at === undefined ? 0 : ADDFD_FLAG_SETFD, at ?? 0, closeOnExec)
  }

  #addDescriptor(fd: number, flags: number, at: number, closeOnExec: boolean): number {
    const addfd = this.#addfd.words
    addfd[0] = this.words[0]!
    addfd[1] = this.words[1]!
    addfd[2] = flags
    addfd[3] = fd
    addfd[4] = at
    addfd[5] = closeOnExec ? O_CLOEXEC : 0
    for (;;) {
      const result = ioctl(this.listener, IOCTL_NOTIF_ADDFD, this.#addfd.address)
      if (result >= 0) return result
      const errno = lastErrno()
      if (errno !== ERRNO.EINTR) return -errno
    }
  }

  #send(low: number, high: number, error: number, flags: number): boolean {
    const response = this.#response.words
    response[0] = this.words[0]!
    response[1] = this.words[1]!
    response[2] = low
    response[3] = high
    response[4] = error
    response[5] = flags
    for (;;) {
      if (ioctl(this.listener, IOCTL_NOTIF_SEND, this.#response.address) === 0) return true
      const errno = lastErrno()
      if (errno === ERRNO.ENOENT || errno === ERRNO.EINPROGRESS) return false
      if (errno !== ERRNO.EINTR) throw new SystemError('ioctl(SECCOMP_IOCTL_NOTIF_SEND)', errno)
    }
  }
}
