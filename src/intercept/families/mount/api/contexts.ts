// Stand-ins for contexts and detached mounts: the container holds the end of a pipe, the supervisor the thing itself.

import {SystemError, isSystemError} from '../../../../ffi/errors.js'
import {closeQuietly, pipe2, poll, read, write} from '../../../../ffi/libc.js'
import {fstat} from '../../../../ffi/mount.js'
import {O_CLOEXEC, O_DIRECT, O_NONBLOCK, POLLERR, S_IFIFO, S_IFMT} from '../../../../kernel/constants.js'
import {ERRNO} from '../../../../kernel/errno.js'
import type {Caller} from '../../../family.js'

/** Packets: what is written at once is read at once, as fscontext_read() gives one message at a time. */

const SLOTS = 48
const SOURCE_MAX = 256
const MESSAGE_MAX = 4096
const MESSAGES_MAX = 8
/** How long an abandoned context may keep its file system busy. */
const SWEEP_MS = 100

/** Words of a slot; the bytes of its source come after them. */
const WORD = {
  state: 0,
  inodeLow: 1,
  inodeHigh: 2,
  pipe: 3,
  context: 4,
  type: 5,
  flags: 6,
  tree: 7,
  propagation: 8,
  sourceLength: 9,
  parent: 10,
  parentInode: 11,
  words: 12,
} as const
const SLOT_WORDS = WORD.words + SOURCE_MAX / 4

const FREE = 0
const IDLE = 1
const BUSY = 2
/** Looked at whether anybody holds it still, which takes a moment. */
const SWEPT = 3
const NONE = -1

/**
 * Bits of `flags`: what was set so far, as far as it matters when the file system is made. Of an overlay: that a layer may
 * be none of the container's, that there is an upper one, that an option for layers failed, and that lowerdir named its
 * layers at once.
 */
export const CONTEXT_FLAG = {readOnly: 1, foreignLayer: 2, upperLayer: 4, failedLayer: 8, lowerAtOnce: 16} as const

/** Memory for `FsContexts`, to be made once for each container. */
export function fsContextsMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(SLOTS * SLOT_WORDS * 4)
}

/**
 * Shared by all workers of a container: the calls of one mount may come to different ones. Descriptors are the process's.
 * The inode of the pipe tells what a descriptor of the container stands for; when nobody holds its reading end any more,
 * that is closed. Neither a context nor a mount could be handed over: one could be changed after it was checked, the
 * other is an O_PATH descriptor, which SECCOMP_IOCTL_NOTIF_ADDFD does not take (fget() in kernel/seccomp.c).
 */
export class FsContexts {
  readonly #words: Int32Array
  readonly #bytes: Buffer
  #timer: NodeJS.Timeout | undefined
  #cleansAtExit = false

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory)
    this.#bytes = Buffer.from(memory)
  }

  get isEmpty(): boolean {
    for (let slot = 0; slot < SLOTS; slot++) if (this.#load(slot, WORD.state) !== FREE) return false
    return true
  }

  /** Takes the descriptor over. Gives the end for the container. */
  add({context = NONE, tree = NONE, type, source = null, parent}: StandIn): number {
    let slot: number | undefined
    try {
      this.sweep()
      slot = this.#claim()
      const pair = new Int32Array(2)
      pipe2(pair, O_CLOEXEC | O_NONBLOCK | O_DIRECT)
      const [reading, writing] = [pair[0]!, pair[1]!]
      const {inode} = fstat(writing)
      const words: Readonly<Record<Exclude<keyof typeof WORD, 'state' | 'words'>, number>> = {
        inodeLow: Number(BigInt.asIntN(32, inode)),
        inodeHigh: Number(BigInt.asIntN(32, inode >> 32n)),
        pipe: writing,
        context,
        type: type ?? NONE,
        flags: 0,
        tree,
        propagation: 0,
        sourceLength: NONE,
        parent: parent?.slot ?? NONE,
        parentInode: parent?.inode ?? 0,
      }
      for (const [name, value] of Object.entries(words)) this.#store(slot, WORD[name as keyof typeof words], value)
      this.#at(slot).source = source
      this.#store(slot, WORD.state, IDLE)
      this.#watch()
      return reading
    } catch (error) {
      closeQuietly(context === NONE ? tree : context)
      if (slot !== undefined) this.#store(slot, WORD.state, FREE)
      throw error
    }
  }

  /** What `fd` of the caller stands for; undefined where it is anything else. */
  find(caller: Caller, fd: number): FsContext | undefined {
    if (fd < 0 || this.isEmpty) return undefined
    const own = openOrNothing(caller, fd)
    if (own === undefined) return undefined
    const {inode, mode, devMajor, devMinor} = fstat(own)
    if ((mode & S_IFMT) !== S_IFIFO) return undefined
    const [low, high] = [Number(BigInt.asIntN(32, inode)), Number(BigInt.asIntN(32, inode >> 32n))]
    for (let slot = 0; slot < SLOTS; slot++) {
      // The caller's descriptor, of which we hold a copy, keeps the slot from being swept.
      if (this.#load(slot, WORD.state) === FREE) continue
      if (this.#load(slot, WORD.inodeLow) !== low || this.#load(slot, WORD.inodeHigh) !== high) continue
      const pipe = fstat(this.#load(slot, WORD.pipe))
      if (pipe.devMajor === devMajor && pipe.devMinor === devMinor) return this.#at(slot)
    }
    return undefined
  }

  /** One call at a time for each context; the kernel would let the second wait. */
  using<T>(context: FsContext, action: () => T): T {
    const state = context.slot * SLOT_WORDS + WORD.state
    if (!this.#take(state)) throw new SystemError('fsconfig', ERRNO.EBUSY)
    try {
      return action()
    } finally {
      Atomics.store(this.#words, state, IDLE)
    }
  }

  /** `mount` has got its place. Its context would keep the file system busy after umount(2), and is needed no more. */
  wasMoved(mount: FsContext): void {
    const slot = mount.parent
    if (slot === undefined) return
    // The slot may stand for another context by now, whose calls must find it idle or swept, and never busy.
    this.#sweep(slot, () => {
      const context = this.#load(slot, WORD.context)
      if (this.#load(slot, WORD.inodeLow) === mount.parentInode && context !== NONE) {
        this.#store(slot, WORD.context, NONE)
        closeQuietly(context)
      }
      return false
    })
  }

  /** Closes what the container has closed. */
  sweep(): void {
    for (let slot = 0; slot < SLOTS; slot++) this.#closeIf(slot, (pipe) => isHungUp(pipe))
  }

  #at(slot: number): FsContext {
    const load = (word: number): number => this.#load(slot, word)
    const store = (word: number, value: number): void => this.#store(slot, word, value)
    const start = (slot * SLOT_WORDS + WORD.words) * 4
    return new FsContext(slot, load, store, this.#bytes.subarray(start, start + SOURCE_MAX))
  }

  #claim(): number {
    for (let slot = 0; slot < SLOTS; slot++) {
      if (Atomics.compareExchange(this.#words, slot * SLOT_WORDS + WORD.state, FREE, BUSY) === FREE) return slot
    }
    throw new SystemError('fsopen', ERRNO.ENFILE)
  }

  /** For a call. False where another one is under way, or the slot is free; a sweep is waited for. */
  #take(state: number): boolean {
    for (;;) {
      const found = Atomics.compareExchange(this.#words, state, IDLE, BUSY)
      if (found !== SWEPT) return found === IDLE
      Atomics.wait(this.#words, state, SWEPT, SWEEP_MS)
    }
  }

  #closeIf(slot: number, condition: (pipe: number) => boolean): void {
    this.#sweep(slot, () => {
      const isGone = condition(this.#load(slot, WORD.pipe))
      if (isGone) this.#closeAll(slot)
      return isGone
    })
  }

  /** Looks at a slot that no call uses, for a moment, which calls wait for. `isFreed`: whether nothing is left in it. */
  #sweep(slot: number, isFreed: () => boolean): void {
    const state = slot * SLOT_WORDS + WORD.state
    for (;;) {
      const found = Atomics.compareExchange(this.#words, state, IDLE, SWEPT)
      if (found === IDLE) break
      if (found !== SWEPT) return
      Atomics.wait(this.#words, state, SWEPT, SWEEP_MS)
    }
    let freed = false
    try {
      freed = isFreed()
    } finally {
      Atomics.store(this.#words, state, freed ? FREE : IDLE)
      Atomics.notify(this.#words, state)
    }
  }

  #closeAll(slot: number): void {
    for (const word of [WORD.pipe, WORD.context, WORD.tree]) {
      const fd = this.#load(slot, word)
      this.#store(slot, word, NONE)
      if (fd !== NONE) closeQuietly(fd)
    }
  }

  /** A context that was left behind would keep its file system busy, and its device in use. */
  #watch(): void {
    this.#timer ??= setInterval(() => {
      this.sweep()
      if (!this.isEmpty) return
      clearInterval(this.#timer)
      this.#timer = undefined
    }, SWEEP_MS).unref()
    if (this.#cleansAtExit) return
    this.#cleansAtExit = true
    process.once('exit', () => {
      for (let slot = 0; slot < SLOTS; slot++) this.#closeIf(slot, () => true)
    })
  }

  #load(slot: number, word: number): number {
    return Atomics.load(this.#words, slot * SLOT_WORDS + word)
  }

  #store(slot: number, word: number, value: number): void {
    Atomics.store(this.#words, slot * SLOT_WORDS + word, value)
  }
}

/** What is to be stood in for: a context or a detached mount. */
export interface StandIn {
  readonly context?: number
  readonly tree?: number
  /** Position in the allowlist; undefined for what was mounted already. */
  readonly type: number | undefined
  readonly source?: Buffer | null
  /** The context that a mount was made from. */
  readonly parent?: FsContext
}

/** One of them, to be looked into and changed inside `FsContexts.using()`. */
export class FsContext {
  readonly slot: number
  readonly #load: (word: number) => number
  readonly #store: (word: number, value: number) => void
  readonly #source: Buffer

  constructor(
    slot: number,
    load: (word: number) => number,
    store: (word: number, value: number) => void,
    source: Buffer,
  ) {
    this.slot = slot
    this.#load = load
    this.#store = store
    this.#source = source
  }

  /** A context, else a mount. */
  get isContext(): boolean {
    return this.#load(WORD.context) !== NONE
  }

  get fd(): number {
    return this.#load(WORD.context)
  }

  get inode(): number {
    return this.#load(WORD.inodeLow)
  }

  get parent(): number | undefined {
    const slot = this.#load(WORD.parent)
    return slot === NONE ? undefined : slot
  }

  get parentInode(): number {
    return this.#load(WORD.parentInode)
  }

  /** Position in the allowlist; undefined for what is mounted already. */
  get type(): number | undefined {
    const type = this.#load(WORD.type)
    return type === NONE ? undefined : type
  }

  has(flag: number): boolean {
    return (this.#load(WORD.flags) & flag) !== 0
  }

  set(flag: number, on: boolean): void {
    const flags = this.#load(WORD.flags)
    this.#store(WORD.flags, on ? flags | flag : flags & ~flag)
  }

  get source(): Buffer | null {
    const length = this.#load(WORD.sourceLength)
    // A copy: the memory is shared.
    return length === NONE ? null : Buffer.from(this.#source.subarray(0, length))
  }

  set source(value: Buffer | null) {
    if (value !== null && value.length >= SOURCE_MAX) throw new SystemError('fsconfig', ERRNO.EINVAL)
    value?.copy(this.#source)
    this.#store(WORD.sourceLength, value === null ? NONE : value.length)
  }

  /** The detached mount, before its flags are locked; undefined when it has got its place. */
  get tree(): number | undefined {
    const fd = this.#load(WORD.tree)
    return fd === NONE ? undefined : fd
  }

  /** What is there is no longer the context's to close. */
  set tree(fd: number | undefined) {
    this.#store(WORD.tree, fd ?? NONE)
  }

  /** MS_PRIVATE and its like, or 0: of the mount when it gets its place. */
  get propagation(): number {
    return this.#load(WORD.propagation)
  }

  set propagation(value: number) {
    this.#store(WORD.propagation, value)
  }

  /** What the kernel says of the last call (fscontext_read()): handed on to the container, and given here. */
  passMessages(): Buffer[] {
    const messages: Buffer[] = []
    while (this.isContext && messages.length < MESSAGES_MAX) {
      const bytes = Buffer.alloc(MESSAGE_MAX)
      try {
        messages.push(bytes.subarray(0, read(this.fd, bytes, bytes.length)))
      } catch (error) {
        if (error instanceof SystemError) break
        throw error
      }
    }
    for (const message of messages) tryWrite(this.#load(WORD.pipe), message)
    return messages
  }
}

/** A pipe that nobody empties loses messages; so does the kernel's own log of eight. */
function tryWrite(pipe: number, message: Buffer): void {
  try {
    write(pipe, message, message.length)
  } catch (error) {
    if (!(error instanceof SystemError)) throw error
  }
}

function openOrNothing(caller: Caller, fd: number): number | undefined {
  try {
    return caller.openDescriptor(fd)
  } catch (error) {
    if (isSystemError(error)) return undefined
    throw error
  }
}

/** pipe_poll() in fs/pipe.c: an error for the writer is that there is no reader. */
function isHungUp(pipe: number): boolean {
  const fds = new Int32Array([pipe, 0])
  try {
    poll(fds, 1, 0)
  } catch (error) {
    if (error instanceof SystemError) return false
    throw error
  }
  return (new Int16Array(fds.buffer)[3]! & POLLERR) !== 0
}
