// Another process's memory: process_vm_readv(2) and process_vm_writev(2), one scratch page, no copy of addresses.

import {PAGE_BYTES} from '../kernel/constants.js'
import {ERRNO} from '../kernel/errno.js'
import {FixedMemory, declareUnchecked, lastErrno} from './declare.js'
import {SystemError} from './errors.js'

const SCRATCH_BYTES = 65_536
/** Most strings are short: more is copied only of those that are not. */
const STRING_START_BYTES = 256
const IOVEC_BYTES = 16

const readv = declareUnchecked('process_vm_readv', 'long', ['int', 'address', 'ulong', 'address', 'ulong', 'ulong'])
const writev = declareUnchecked('process_vm_writev', 'long', ['int', 'address', 'ulong', 'address', 'ulong', 'ulong'])

/** Reads and writes the memory of other processes through one scratch buffer. One for each thread. */
export class ProcessMemory {
  /** One byte more than is ever read, which is 0: looking for the end of a string ends there. */
  readonly #memory = new FixedMemory(SCRATCH_BYTES + 1)
  readonly #scratch = this.#memory.bytes
  /** struct iovec: base and length, each 64 bits in two words. */
  readonly #local = new FixedMemory(IOVEC_BYTES)
  readonly #remote = new FixedMemory(IOVEC_BYTES)

  constructor() {
    setWords(this.#local.words, 0, this.#memory.address)
  }

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
      const most = done === 0 ? STRING_START_BYTES : PAGE_BYTES
      const wanted = Math.min(limit - done, most, PAGE_BYTES - ((address + done) % PAGE_BYTES))
      const count = this.#transfer(readv, 'process_vm_readv', tid, address + done, wanted)
      this.#scratch[count] = 0
      const end = this.#scratch.indexOf(0)
      const piece = Buffer.allocUnsafe(end)
      this.#scratch.copy(piece, 0, 0, end)
      head = head === undefined ? piece : Buffer.concat([head, piece])
      if (end < count) return head
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
    const remote = this.#remote.words
    setWords(remote, 0, address)
    remote[2] = length
    this.#local.words[2] = length
    const count = call(tid, this.#local.address, 1, this.#remote.address, 1, 0)
    if (count > 0) return count
    throw new SystemError(name, count === 0 ? ERRNO.EFAULT : lastErrno())
  }
}

function setWords(words: Uint32Array, index: number, value: number): void {
  words[index] = value >>> 0
  words[index + 1] = Math.floor(value / 2 ** 32)
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
