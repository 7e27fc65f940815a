// Loop devices as mount(8) and losetup(8) of the container set them up: what they configure are stand-ins of its own.

import {SystemError, isSystemError} from '../../../../ffi/errors.js'
import {closeQuietly, duplicateCloseOnExec, fcntl, ftruncate, ioctlNumber, pread, pwrite} from '../../../../ffi/libc.js'
import {fstat, statx} from '../../../../ffi/mount.js'
import type {Statx} from '../../../../ffi/mount.js'
import {CAP, capabilityMask} from '../../../../kernel/capabilities.js'
import {AT_FDCWD, F_GETFL, O_ACCMODE, S_IFBLK, S_IFCHR, S_IFMT, S_IFREG} from '../../../../kernel/constants.js'
import {encodeDevice} from '../../../../kernel/device-numbers.js'
import type {Device} from '../../../../kernel/device-numbers.js'
import {ERRNO} from '../../../../kernel/errno.js'
import {
  BLKFLSBUF,
  BLKGETSIZE64,
  LOOP_CLR_FD,
  LOOP_CONFIG,
  LOOP_CONFIGURE,
  LOOP_CTL_GET_FREE,
  LOOP_GET_STATUS64,
  LOOP_INFO,
  LOOP_INFO_BYTES,
  LOOP_MAJOR,
  LOOP_NAME_BYTES,
  LOOP_SET_BLOCK_SIZE,
  LOOP_SET_CAPACITY,
  LOOP_SET_DIRECT_IO,
  LOOP_SET_FD,
  LOOP_SET_STATUS64,
  LO_FLAGS_AUTOCLEAR,
  LO_FLAGS_PARTSCAN,
  LO_FLAGS_READ_ONLY,
} from '../../../../kernel/names/loop.js'
import {pathOfDescriptor} from '../../../caller/descriptor-path.js'
import type {OwnCapabilities} from '../../../caller/own-capabilities.js'
import type {Caller, Performed} from '../../../family.js'
import {openImage} from '../sources/image.js'
import type {LoopImage} from '../sources/image.js'
import type {MountSources} from '../sources/sources.js'
import {NO_PARTITIONS, descriptorOf, readConfig} from './loop-config.js'
import type {LoopConfig} from './loop-config.js'

/** Where file systems and partition tables have the marks that blkid(8) looks for. */
const HEAD_BYTES = 1_048_576
const KEPT_FLAGS = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR
const ADMIN = capabilityMask(CAP.SYS_ADMIN)

/** A file that the policy does not name can be set up, but not mounted: programs try again and again otherwise. */
const NO_FILE = -1

/** Words of one stand-in in the memory that workers share. */
const WORD = {state: 0, file: 1, offset: 2, sizeLimit: 3, flags: 4, generation: 5, owner: 6, words: 7} as const
const STATE = {free: 0n, configured: 1n, mounted: 2n, busy: 3n} as const

/** A loop device over memory, held by the supervisor as long as the container lives. */
export interface LoopStandIn {
  /** In the container it is /dev/loopNUMBER. */
  readonly number: number
  readonly device: Device
  /** Descriptors of the supervisor: of the device, and of the memory behind it. */
  readonly fd: number
  readonly memory: number
}

export interface LoopStandIns {
  readonly devices: readonly LoopStandIn[]
  /** Shared by all workers. */
  readonly memory: SharedArrayBuffer
}

export function standInMemory(count: number): SharedArrayBuffer {
  return new SharedArrayBuffer(count * WORD.words * 8)
}

export interface LoopRequestValues {
  readonly fd: number
  readonly request: number
  readonly argument: number
}

/**
 * A stand-in is a real loop device over memory, so that it has a node that can be opened and looks like what it is for.
 * Nothing that the container asks of it by ioctl reaches it: the image is checked and remembered, and its beginning is
 * copied there for blkid(8). When the stand-in is mounted, the supervisor sets up another device over the image itself.
 */
export class StandIns {
  readonly #standIns: readonly LoopStandIn[]
  readonly #words: BigInt64Array
  readonly #sources: MountSources
  readonly #own: OwnCapabilities

  constructor(described: LoopStandIns | undefined, sources: MountSources, own: OwnCapabilities) {
    this.#standIns = described?.devices ?? []
    this.#words = new BigInt64Array(described?.memory ?? standInMemory(0))
    this.#sources = sources
    this.#own = own
  }

  /** The image of a configured stand-in; ENXIO where nothing was configured, as for a loop device. */
  imageOf(fd: number): LoopImage | undefined {
    const index = this.#find(fd)
    if (index === -1) return undefined
    return this.#acquire(index)
  }

  /**
   * What is mounted has a device of its own. One that goes with its last user (LO_FLAGS_AUTOCLEAR) is gone for its container
   * from here on, so that mount(8) does not take it for a device that is in its way; the other kind stays.
   */
  wasMounted(fd: number): undefined {
    const index = this.#find(fd)
    if (index === -1 || this.#get(index, 'state') !== STATE.configured) return
    if (!this.#hasFlag(index, LO_FLAGS_AUTOCLEAR)) return
    try {
      this.#release(index, STATE.mounted)
    } catch (error) {
      // The mount is made. Another thread of the container has taken the device down or set it up anew meanwhile.
      if (!(error instanceof SystemError)) throw error
    }
  }

  serve(values: LoopRequestValues, caller: Caller): Performed {
    const fd = caller.openDescriptor(values.fd)
    const status = fstat(fd)
    const type = status.mode & S_IFMT
    const index = this.#find(fd)
    if (index === -1) {
      const {request} = values
      if (request === BLKGETSIZE64) return {kind: 'continue', reason: 'it is no loop device of ours', silent: true}
      if (type === S_IFCHR && status.rdevMajor === 1 && status.rdevMinor === 3) return this.#control(request)
      if (type === S_IFBLK && status.rdevMajor === LOOP_MAJOR) return this.#foreign(status)
      return {kind: 'continue', reason: 'it is no loop device', silent: true}
    }
    switch (values.request) {
      case LOOP_SET_FD:
        return this.#configure(index, caller, {
          image: descriptorOf(values.argument),
          offset: 0n,
          sizeLimit: 0n,
          flags: 0,
        })
      case LOOP_CONFIGURE:
        return this.#configure(
          index,
          caller,
          readConfig(caller.memory.bytes(values.argument, LOOP_CONFIG.info + LOOP_INFO_BYTES)),
        )
      case LOOP_SET_STATUS64:
        return this.#setStatus(index, caller, caller.memory.bytes(values.argument, LOOP_INFO_BYTES))
      case LOOP_GET_STATUS64:
        return this.#getStatus(index, values.argument, caller)
      case LOOP_CLR_FD:
        return this.#clear(index)
      case BLKGETSIZE64:
        return this.#getSize(index, values.argument, caller)
      case LOOP_SET_CAPACITY:
      case LOOP_SET_DIRECT_IO:
      case LOOP_SET_BLOCK_SIZE:
        this.#requireConfigured(index)
        return done(0)
      default:
        return {kind: 'refuse', errno: ERRNO.EINVAL, reason: 'this is not done with a loop device of the container'}
    }
  }

  #control(request: number): Performed {
    if (request !== LOOP_CTL_GET_FREE) return {kind: 'continue', reason: 'it is no loop device', silent: true}
    if (this.#standIns.length === 0) return {kind: 'continue', reason: 'no images may be mounted', silent: true}
    const number = this.#standIns.findIndex((_, index) => this.#get(index, 'state') === STATE.free)
    const index = number === -1 ? this.#standIns.findIndex((_, each) => this.#isUnused(each)) : number
    if (index === -1) return {kind: 'refuse', errno: ERRNO.ENOSPC, reason: 'every loop device is set up already'}
    if (this.#get(index, 'state') === STATE.configured) this.#release(index, STATE.free)
    return done(this.#standIns[index]!.number)
  }

  /** Mounted, or set up to go with the last user by a process that is gone, whose mount failed. */
  #isUnused(index: number): boolean {
    const state = this.#get(index, 'state')
    if (state === STATE.mounted) return true
    if (state !== STATE.configured || !this.#hasFlag(index, LO_FLAGS_AUTOCLEAR)) return false
    return !isProcess(Number(this.#get(index, 'owner')))
  }

  #foreign({rdevMajor, rdevMinor}: Statx): Performed {
    const device = {type: 'b', major: rdevMajor, minor: rdevMinor} as const
    const source = this.#sources.findDevice(device, Buffer.from(`/dev/loop${rdevMinor}`))
    if (source.kind === 'device') return {kind: 'continue', reason: 'the device was given to the container'}
    return {kind: 'refuse', errno: ERRNO.EPERM, reason: 'the loop device is not of this container'}
  }

  #configure(index: number, caller: Caller, config: LoopConfig): Performed {
    const fd = caller.openDescriptor(config.image)
    if ((fstat(fd).mode & S_IFMT) !== S_IFREG) throw new SystemError('ioctl', ERRNO.EINVAL)
    const isReadOnly = (fcntl(fd, F_GETFL, 0) & O_ACCMODE) === 0
    if ((config.flags & LO_FLAGS_PARTSCAN) !== 0) return NO_PARTITIONS
    const flags = (config.flags & KEPT_FLAGS) | (isReadOnly ? LO_FLAGS_READ_ONLY : 0)
    caller.assertAlive()
    return this.#changing(index, [STATE.free, STATE.mounted], () => {
      this.#copyHead(this.#standIns[index]!, fd, config)
      const source = this.#sources.findImage(fd, pathOfDescriptor(fd))
      this.#store(index, {...config, flags, file: source.kind === 'image' ? source.file : NO_FILE})
      Atomics.store(this.#words, this.#at(index, 'owner'), BigInt(caller.credentials.tgid))
      return STATE.configured
    })
  }

  #setStatus(index: number, caller: Caller, info: Buffer): Performed {
    const offset = info.readBigUInt64LE(LOOP_INFO.offset)
    const sizeLimit = info.readBigUInt64LE(LOOP_INFO.sizeLimit)
    const wanted = info.readUInt32LE(LOOP_INFO.flags)
    if ((wanted & LO_FLAGS_PARTSCAN) !== 0) return NO_PARTITIONS
    const image = this.#acquire(index)
    try {
      const flags = (wanted & LO_FLAGS_AUTOCLEAR) | (image.readOnly ? LO_FLAGS_READ_ONLY : 0)
      if (offset === image.offset && sizeLimit === image.sizeLimit) {
        Atomics.store(this.#words, this.#at(index, 'flags'), BigInt(flags))
        return done(0)
      }
      if (image.file === undefined) throw new SystemError('ioctl', ERRNO.EPERM)
      const file = openImage(image.file, true, caller)
      const kept = duplicateCloseOnExec(image.file)
      try {
        return this.#changing(index, [STATE.configured], () => {
          this.#copyHead(this.#standIns[index]!, file, {offset, sizeLimit})
          this.#store(index, {offset, sizeLimit, flags, file: duplicateCloseOnExec(kept)})
          return STATE.configured
        })
      } finally {
        closeQuietly(file)
        closeQuietly(kept)
      }
    } finally {
      if (image.file !== undefined) closeQuietly(image.file)
    }
  }

  #getStatus(index: number, address: number, caller: Caller): Performed {
    const {file, offset, sizeLimit, readOnly} = this.#acquire(index)
    const info = Buffer.alloc(LOOP_INFO_BYTES)
    if (file !== undefined) {
      const status = fstat(file)
      info.writeBigUInt64LE(BigInt(encodeDevice({major: status.devMajor, minor: status.devMinor})), LOOP_INFO.device)
      info.writeBigUInt64LE(status.inode, LOOP_INFO.inode)
      pathOfDescriptor(file).copy(info, LOOP_INFO.fileName, 0, LOOP_NAME_BYTES - 1)
      closeQuietly(file)
    }
    info.writeBigUInt64LE(offset, LOOP_INFO.offset)
    info.writeBigUInt64LE(sizeLimit, LOOP_INFO.sizeLimit)
    info.writeUInt32LE(this.#standIns[index]!.number, LOOP_INFO.number)
    const autoclear = this.#hasFlag(index, LO_FLAGS_AUTOCLEAR) ? LO_FLAGS_AUTOCLEAR : 0
    info.writeUInt32LE(autoclear | (readOnly ? LO_FLAGS_READ_ONLY : 0), LOOP_INFO.flags)
    caller.memory.write(address, info)
    return done(0)
  }

  /** A stand-in over memory has the size of its image already. */
  #getSize(index: number, address: number, caller: Caller): Performed {
    if (this.#standIns[index]!.memory >= 0) return {kind: 'continue', reason: 'the kernel knows', silent: true}
    const {file} = this.#acquire(index)
    if (file === undefined) throw new SystemError('ioctl', ERRNO.EPERM)
    const size = Buffer.alloc(8)
    size.writeBigUInt64LE(BigInt(fstat(file).size))
    closeQuietly(file)
    caller.memory.write(address, size)
    return done(0)
  }

  #clear(index: number): Performed {
    if (this.#get(index, 'state') === STATE.free) throw new SystemError('ioctl', ERRNO.ENXIO)
    return this.#release(index, STATE.free)
  }

  /** The image, and the memory with its beginning. */
  #release(index: number, state: bigint): Performed {
    return this.#changing(index, [STATE.configured, STATE.mounted], () => {
      this.#store(index, {offset: 0n, sizeLimit: 0n, flags: 0, file: NO_FILE})
      this.#resize(this.#standIns[index]!, 0)
      return state
    })
  }

  /**
   * What is set up, with a descriptor of its own. Another worker may take it down meanwhile and something else get the
   * number of its descriptor: it counts up before it closes, so that this is noticed.
   */
  #acquire(index: number): LoopImage {
    const generation = this.#get(index, 'generation')
    const state = this.#get(index, 'state')
    if (state !== STATE.configured) throw new SystemError('ioctl', ERRNO.ENXIO)
    const held = Number(this.#get(index, 'file'))
    const image = {
      offset: this.#get(index, 'offset'),
      sizeLimit: this.#get(index, 'sizeLimit'),
      readOnly: this.#hasFlag(index, LO_FLAGS_READ_ONLY),
    }
    const file = held === NO_FILE ? undefined : duplicateCloseOnExec(held)
    if (this.#get(index, 'generation') === generation) return {...image, file}
    if (file !== undefined) closeQuietly(file)
    throw new SystemError('ioctl', ERRNO.ENXIO)
  }

  /** One worker at a time. What was set up before is given up, also when `change` fails. */
  #changing(index: number, from: readonly bigint[], change: () => bigint): Performed {
    const at = this.#at(index, 'state')
    const before = from.find((state) => Atomics.compareExchange(this.#words, at, state, STATE.busy) === state)
    if (before === undefined) throw new SystemError('ioctl', ERRNO.EBUSY)
    let after: bigint = STATE.free
    try {
      Atomics.add(this.#words, this.#at(index, 'generation'), 1n)
      const file = Number(this.#get(index, 'file'))
      if (before !== STATE.free && file !== NO_FILE) closeQuietly(file)
      after = change()
      return done(0)
    } finally {
      Atomics.store(this.#words, at, after)
    }
  }

  #requireConfigured(index: number): void {
    if (this.#get(index, 'state') !== STATE.configured) throw new SystemError('ioctl', ERRNO.ENXIO)
  }

  #store(index: number, {file, offset, sizeLimit, flags}: Omit<LoopConfig, 'image'> & {readonly file: number}): void {
    const words = {file: BigInt(file), offset: BigInt.asIntN(64, offset), sizeLimit: BigInt.asIntN(64, sizeLimit)}
    Atomics.store(this.#words, this.#at(index, 'file'), words.file)
    Atomics.store(this.#words, this.#at(index, 'offset'), words.offset)
    Atomics.store(this.#words, this.#at(index, 'sizeLimit'), words.sizeLimit)
    Atomics.store(this.#words, this.#at(index, 'flags'), BigInt(flags))
  }

  /** Its size, and what tells the type of its file system. `image` is open for reading. */
  #copyHead(
    {fd, memory}: LoopStandIn,
    image: number,
    {offset, sizeLimit}: Pick<LoopConfig, 'offset' | 'sizeLimit'>,
  ): void {
    if (memory < 0) return
    const rest = BigInt(fstat(image).size) - offset
    const size = sizeLimit !== 0n && sizeLimit < rest ? sizeLimit : rest
    if (size <= 0n) throw new SystemError('ioctl', ERRNO.EINVAL)
    const head = Buffer.alloc(Number(size < BigInt(HEAD_BYTES) ? size : BigInt(HEAD_BYTES)))
    const length = pread(image, head, head.length, Number(offset))
    ftruncate(memory, 0)
    pwrite(memory, head, length, 0)
    this.#resize({fd, memory}, Number(size))
  }

  #resize({fd, memory}: Pick<LoopStandIn, 'fd' | 'memory'>, size: number): void {
    if (memory < 0) return
    ftruncate(memory, size)
    this.#own.with(ADMIN, () => {
      ioctlNumber(fd, LOOP_SET_CAPACITY, 0)
      ioctlNumber(fd, BLKFLSBUF, 0)
    })
  }

  /** `fd`: of the node, which may be O_PATH. */
  #find(fd: number): number {
    if (this.#standIns.length === 0) return -1
    const {mode, rdevMajor, rdevMinor} = fstat(fd)
    const type = (mode & S_IFMT) === S_IFBLK ? 'b' : (mode & S_IFMT) === S_IFCHR ? 'c' : undefined
    const same = this.#standIns.flatMap(({device}, index) =>
      device.type === type && device.major === rdevMajor && device.minor === rdevMinor ? [index] : [],
    )
    if (same.length <= 1) return same[0] ?? -1
    // Those of an ordinary user are all /dev/null: the name tells them apart, and a wrong one harms nobody else.
    const name = pathOfDescriptor(fd).toString('latin1')
    return same.find((index) => name === `/dev/loop${this.#standIns[index]!.number}`) ?? -1
  }

  #hasFlag(index: number, flag: number): boolean {
    return (this.#get(index, 'flags') & BigInt(flag)) !== 0n
  }

  #get(index: number, word: Exclude<keyof typeof WORD, 'words'>): bigint {
    return Atomics.load(this.#words, this.#at(index, word))
  }

  #at(index: number, word: Exclude<keyof typeof WORD, 'words'>): number {
    return index * WORD.words + WORD[word]
  }
}

function isProcess(pid: number): boolean {
  try {
    statx(AT_FDCWD, `/proc/${pid}`, 0)
    return true
  } catch (error) {
    if (isSystemError(error, ERRNO.ENOENT)) return false
    throw error
  }
}

function done(value: number): Performed {
  return {kind: 'done', value, strategy: 'loop'}
}
