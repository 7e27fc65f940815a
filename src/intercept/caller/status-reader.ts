// Reads /proc/TID/status again and again for the same few threads: opening it costs half as much as reading it.

import {isSystemError} from '../../ffi/errors.js'
import {FixedMemory, close, openat, preadInto} from '../../ffi/libc.js'
import {O_CLOEXEC, O_RDONLY} from '../../kernel/constants.js'
import {ERRNO} from '../../kernel/errno.js'
import {procDirectory} from './proc.js'
import {locateStatus} from './status.js'
import type {LocatedStatus, ThreadStatus} from './status.js'

/** setgroups(2) takes 65,536 groups of at most ten digits; the rest of the file is below 4 KiB. */
export const STATUS_BYTES_MAX = 1_048_576
const OPEN_MAX = 64
/** A larger one, of a thread with thousands of groups, is not kept: 64 of them fill much memory, the kernel's too. */
const KEPT_BYTES_MAX = 16_384

interface OpenStatus {
  readonly fd: number
  /** What was read last, and its bytes as far as they count. */
  located: LocatedStatus | undefined
  bytes: Buffer
}

/**
 * An open file of /proc/TID belongs to that one task: once it is gone, reads fail with ESRCH, even where another task
 * has the number by then (proc_single_show, get_pid_task). So a file that can be read is the right one.
 */
export class StatusReader {
  readonly #files = new Map<number, OpenStatus>()
  #memory = new FixedMemory(8192)

  /** Throws SystemError ENOENT or ESRCH where there is no such thread; undefined where it is going away. */
  read(tid: number): ThreadStatus | undefined {
    const known = this.#files.get(tid)
    if (known !== undefined) {
      try {
        return this.#readAgain(tid, known)
      } catch (error) {
        if (!isSystemError(error, ERRNO.ESRCH)) throw error
        this.#drop(tid, known)
      }
    }
    const fd = openat(procDirectory(), `${tid}/status`, O_RDONLY | O_CLOEXEC, 0)
    const file = {fd, located: undefined, bytes: Buffer.alloc(0)}
    this.#keep(tid, file)
    return this.#readAgain(tid, file)
  }

  #keep(tid: number, file: OpenStatus): void {
    this.#files.set(tid, file)
    if (this.#files.size <= OPEN_MAX) return
    const [oldest] = this.#files
    if (oldest !== undefined) this.#drop(...oldest)
  }

  #drop(tid: number, {fd}: OpenStatus): void {
    this.#files.delete(tid)
    close(fd)
  }

  #readAgain(tid: number, file: OpenStatus): ThreadStatus | undefined {
    const length = this.#readAll(file.fd)
    const {bytes} = this.#memory
    if (length > KEPT_BYTES_MAX) {
      this.#drop(tid, file)
      return locateStatus(bytes, length)?.status
    }
    // Between two calls of a thread only figures that nobody asks for change, such as its context switches.
    if (file.located !== undefined && saysTheSame(bytes, length, file.located, file.bytes)) return file.located.status
    const located = locateStatus(bytes, length)
    file.located = located
    if (located !== undefined) file.bytes = Buffer.from(bytes.subarray(0, located.effectiveEnd))
    return located?.status
  }

  #readAll(fd: number): number {
    for (let length = 0; ;) {
      const {address, bytes} = this.#memory
      const count = preadInto(fd, address + length, bytes.length - length, length)
      length += count
      // The file is one record: what leaves room in the buffer is all of it.
      if (count === 0 || length < bytes.length) return length
      if (length >= STATUS_BYTES_MAX) throw new Error('a file of /proc is larger than it can be')
      this.#memory = new FixedMemory(bytes.length * 2)
      this.#memory.bytes.set(bytes)
    }
  }
}

function saysTheSame(bytes: Buffer, length: number, located: LocatedStatus, last: Buffer): boolean {
  const {headEnd, effectiveStart, effectiveEnd} = located
  return (
    effectiveEnd <= length &&
    last.compare(bytes, 0, headEnd, 0, headEnd) === 0 &&
    last.compare(bytes, effectiveStart, effectiveEnd, effectiveStart, effectiveEnd) === 0
  )
}
