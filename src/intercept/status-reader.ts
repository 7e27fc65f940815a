// Reads /proc/TID/status again and again for the same few threads: opening it costs as much as reading it.

import {AT_FDCWD, O_CLOEXEC, O_RDONLY, close, openat, pread} from '../ffi/libc.js'
import {ERRNO, isSystemError} from '../ffi/errors.js'
import {parseStatus} from './status.js'
import type {ThreadStatus} from './status.js'

/** setgroups(2) takes 65,536 groups of at most ten digits; the rest of the file is below 4 KiB. */
const STATUS_BYTES_MAX = 1_048_576
const OPEN_MAX = 64

/**
 * An open file of /proc/TID belongs to that one task: once it is gone, reads fail with ESRCH, even where another task
 * has the number by then (proc_single_show, get_pid_task). So a file that can be read is the right one.
 */
export class StatusReader {
  readonly #files = new Map<number, number>()
  #bytes = Buffer.from(new ArrayBuffer(8192))

  /** Throws SystemError ENOENT or ESRCH where there is no such thread; undefined where it is going away. */
  read(tid: number): ThreadStatus | undefined {
    const known = this.#files.get(tid)
    if (known !== undefined) {
      try {
        return parseStatus(this.#readAll(known))
      } catch (error) {
        if (!isSystemError(error, ERRNO.ESRCH)) throw error
        this.#files.delete(tid)
        close(known)
      }
    }
    const fd = openat(AT_FDCWD, `/proc/${tid}/status`, O_RDONLY | O_CLOEXEC, 0)
    this.#keep(tid, fd)
    return parseStatus(this.#readAll(fd))
  }

  #keep(tid: number, fd: number): void {
    this.#files.set(tid, fd)
    if (this.#files.size <= OPEN_MAX) return
    const [oldest] = this.#files
    if (oldest === undefined) return
    this.#files.delete(oldest[0])
    close(oldest[1])
  }

  #readAll(fd: number): Buffer {
    for (let length = 0; ;) {
      const count = pread(fd, this.#bytes.subarray(length), this.#bytes.length - length, length)
      length += count
      // The file is one record: what leaves room in the buffer is all of it.
      if (count === 0 || length < this.#bytes.length) return this.#bytes.subarray(0, length)
      if (length >= STATUS_BYTES_MAX) throw new Error('a file of /proc is larger than it can be')
      this.#bytes = Buffer.concat([this.#bytes, Buffer.alloc(this.#bytes.length)])
    }
  }
}
