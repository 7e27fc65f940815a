// Another process's memory: process_vm_readv(2) and process_vm_writev(2), one scratch page, no copy of addresses.

import {addressOf, declareUnchecked, lastErrno} from './declare.js'
import {ERRNO, SystemError} from './errors.js'

const PAGE_BYTES = 4096
const SCRATCH_BYTES = 65_536

const readv = declareUnchecked('process_vm_readv', 'long', ['int', 'buffer', 'ulong', 'buffer', 'ulong', 'ulong'])
const writev = declareUnchecked('process_vm_writev', 'long', ['int', 'buffer', 'ulong', 'buffer', 'ulong', 'ulong'])

/** Reads and writes the memory of other processes through one scratch buffer. One for each thread. */
export class ProcessMemory {
  readonly #scratch = Buffer.from(new ArrayBuffer(SCRATCH_BYTES))
  /** struct iovec: base and length, each 64 bits in two words. */
  readonly #local = new BigUint64Array([addressOf(this.#scratch), 0n])
  readonly #localWords = new Uint32Array(this.#local.buffer)
  readonly #remote = new Uint32Array(4)

  /** `length` bytes, all or EFAULT. */
  read(tid: number, address: number, length: number): Buffer {
    if (!isUserRange(address, length)) throw new SystemError('process_vm_readv', ERRNO.EFAULT)
    const bytes = Buffer.allocUnsafe(length)
    for (let done = 0; done < length;) {
      // Only ever to the end of a page at first, then in scratch-sized pieces: a fault is exact either way.
      const wanted = Math.min(length - done, SCRATCH_BYTES)
      const count = this.#transfer(readv, 'process_vm_readv', tid, address + done, wanted)
      this.#scratch.copy(bytes, done, 0, count)
      done += count
    }
    return bytes
  }

  /** Bytes up to a NUL, which counts towards `limit`; ENAMETOOLONG where none comes. Page by page: the next may be absent. */
  readString(tid: number, address: number, limit: number): Buffer {
    if (!isUserRange(address, 1)) throw new SystemError('process_vm_readv', ERRNO.EFAULT)
    let head: Buffer | undefined
    let done = 0
    while (done < limit) {
      const wanted = Math.min(limit - done, PAGE_BYTES - ((address + done) % PAGE_BYTES))
      const count = this.#transfer(readv, 'process_vm_readv', tid, address + done, wanted)
      const end = this.#scratch.subarray(0, count).indexOf(0)
      const piece = Buffer.from(this.#scratch.subarray(0, end === -1 ? count : end))
      head = head === undefined ? piece : Buffer.concat([head, piece])
      if (end !== -1) return head
      done += count
    }
    throw new SystemError('process_vm_readv', ERRNO.ENAMETOOLONG)
  }

  /** All of `data`, or EFAULT; a part may then have been written, as copy_to_user() would leave it. */
  write(tid: number, address: number, data: Uint8Array): void {
    if (!isUserRange(address, data.length)) throw new SystemError('process_vm_writev', ERRNO.EFAULT)
    for (let done = 0; done < data.length;) {
      const piece = data.subarray(done, done + SCRATCH_BYTES)
      this.#scratch.set(piece)
      done += this.#transfer(writev, 'process_vm_writev', tid, address + done, piece.length)
    }
  }

  #transfer(call: typeof readv, name: string, tid: number, address: number, length: number): number {
    this.#localWords[2] = length
    this.#remote[0] = address >>> 0
    this.#remote[1] = Math.floor(address / 2 ** 32)
    this.#remote[2] = length
    const count = call(tid, this.#local, 1, this.#remote, 1, 0)
    if (count > 0) return count
    throw new SystemError(name, count === 0 ? ERRNO.EFAULT : lastErrno())
  }
}

function isUserRange(address: number, length: number): boolean {
  return (
    Number.isSafeInteger(address) &&
    address >= 0 &&
    Number.isSafeInteger(length) &&
    length >= 0 &&
    address + length < 2 ** 57
  )
}
