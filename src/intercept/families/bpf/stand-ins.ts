// Stand-ins for programs: the container holds the end of a pipe, the supervisor the program itself.

import {SystemError} from '../../../ffi/errors.js'
import {closeQuietly, duplicateCloseOnExec, pipe2, poll} from '../../../ffi/libc.js'
import {fstat} from '../../../ffi/mount.js'
import {ERRNO} from '../../../kernel/errno.js'
import {O_CLOEXEC, O_NONBLOCK, POLLERR, S_IFIFO, S_IFMT} from '../../../kernel/constants.js'

/** Open at the same time; each takes two descriptors of the supervisor. What is attached needs none. */
const SLOTS = 256
const WORD = {pipe: 0, program: 1, inodeLow: 2, inodeHigh: 3, words: 4} as const
/** Behind the slots: 1 while a thread is at the table. */
const LOCK = SLOTS * WORD.words
/** Of `pipe`. Descriptors are stored with one added, since the memory begins as zeroes. */
const FREE = 0

/** Memory for `ProgramStandIns`, to be made once for each container. */
export function standInsMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer((LOCK + 1) * 4)
}

/**
 * Shared by all workers of a container: a program may be loaded by one and attached by another. Since 5.8 attaching asks
 * for no capability (bpf_prog_attach() in kernel/bpf/syscall.c), so whoever got the program itself, also outside of the
 * container, could attach it to any cgroup that can be opened. The inode of the pipe tells which program is meant; when
 * nobody holds its reading end any more, the program is closed.
 */
export class ProgramStandIns {
  readonly #words: Int32Array

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory)
  }

  /**
   * Takes `program` over, also where it throws: ENOMEM where the container holds too many. Gives the end for the
   * container, which is close-on-exec and the caller's to close.
   */
  add(program: number): number {
    const pair = new Int32Array([-1, -1])
    try {
      return this.#locked(() => {
        const slot = this.#freeSlot()
        pipe2(pair, O_CLOEXEC | O_NONBLOCK)
        const [reading, writing] = [pair[0]!, pair[1]!]
        this.#words.set([writing + 1, program, ...inodeWords(fstat(writing).inode)], slot * WORD.words)
        return reading
      })
    } catch (error) {
      for (const fd of [program, ...pair]) if (fd >= 0) closeQuietly(fd)
      throw error
    }
  }

  /** A duplicate of the program that `fd` of ours stands for, the caller's to close; undefined where it is anything else. */
  find(fd: number): number | undefined {
    const {inode, mode, devMajor, devMinor} = fstat(fd)
    if ((mode & S_IFMT) !== S_IFIFO) return undefined
    const [low, high] = inodeWords(inode)
    return this.#locked(() => {
      for (const slot of this.#usedSlots()) {
        if (this.#load(slot, WORD.inodeLow) !== low || this.#load(slot, WORD.inodeHigh) !== high) continue
        // A FIFO in a file system may have the same number.
        const pipe = fstat(this.#pipe(slot))
        if (pipe.devMajor !== devMajor || pipe.devMinor !== devMinor) continue
        return duplicateCloseOnExec(this.#load(slot, WORD.program))
      }
      return undefined
    })
  }

  /** Closes the programs whose stand-ins are closed everywhere. */
  sweep(): void {
    this.#locked(() => this.#closeHungUp())
  }

  /** Closes all, at the end. */
  close(): void {
    this.#locked(() => this.#usedSlots().forEach((slot) => this.#free(slot)))
  }

  #freeSlot(): number {
    this.#closeHungUp()
    for (let slot = 0; slot < SLOTS; slot++) if (this.#load(slot, WORD.pipe) === FREE) return slot
    throw new SystemError('bpf', ERRNO.ENOMEM)
  }

  /** pipe_poll() in fs/pipe.c: an error for the writer is that there is no reader. */
  #closeHungUp(): void {
    const slots = this.#usedSlots()
    if (slots.length === 0) return
    const fds = new Int32Array(slots.flatMap((slot) => [this.#pipe(slot), 0]))
    poll(fds, slots.length, 0)
    const events = new Int16Array(fds.buffer)
    slots.forEach((slot, index) => {
      if ((events[index * 4 + 3]! & POLLERR) !== 0) this.#free(slot)
    })
  }

  #free(slot: number): void {
    closeQuietly(this.#pipe(slot))
    closeQuietly(this.#load(slot, WORD.program))
    this.#words[slot * WORD.words + WORD.pipe] = FREE
  }

  #usedSlots(): number[] {
    return Array.from({length: SLOTS}, (_, slot) => slot).filter((slot) => this.#load(slot, WORD.pipe) !== FREE)
  }

  #pipe(slot: number): number {
    return this.#load(slot, WORD.pipe) - 1
  }

  #load(slot: number, word: number): number {
    return this.#words[slot * WORD.words + word]!
  }

  /** One thread at a time. `action` makes no call that can block. */
  #locked<T>(action: () => T): T {
    while (Atomics.compareExchange(this.#words, LOCK, 0, 1) !== 0) Atomics.wait(this.#words, LOCK, 1)
    try {
      return action()
    } finally {
      Atomics.store(this.#words, LOCK, 0)
      Atomics.notify(this.#words, LOCK, 1)
    }
  }
}

function inodeWords(inode: bigint): [number, number] {
  return [Number(BigInt.asIntN(32, inode)), Number(BigInt.asIntN(32, inode >> 32n))]
}
