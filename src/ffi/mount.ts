// The mount calls of Linux 5.2 and later, openat2(2), statx(2) and fstatfs(2).

import {nativeNumber} from '../kernel/calls/index.js'
import {AT_EMPTY_PATH} from '../kernel/constants.js'
import {ERRNO} from '../kernel/errno.js'
import {FixedMemory, PathCopy, cString, declareCall, declareUnchecked, lastErrno} from './declare.js'
import {SystemError} from './errors.js'

const callOpenTree = declareCall('open_tree', ['fd', 'path', 'uint'])
/** The directories that two paths start from, and MOVE_MOUNT_*. */
export const move_mount = declareCall('move_mount', ['fd', 'path', 'fd', 'path', 'uint'])
export const fsopen = declareCall('fsopen', ['path', 'uint'])
const callFsconfig = declareCall('fsconfig', ['fd', 'uint', 'buffer', 'buffer', 'int'])
/** A descriptor of the context, FSMOUNT_* and MOUNT_ATTR_*. */
export const fsmount = declareCall('fsmount', ['fd', 'uint', 'uint'])
export const fspick = declareCall('fspick', ['fd', 'path', 'uint'])
const callMountSetattr = declareCall('mount_setattr', ['fd', 'path', 'uint', 'buffer', 'size'])
const callOpenat2 = declareUnchecked('syscall', 'long', ['long', 'long', 'address', 'address', 'ulong'])
const callStatx = declareUnchecked('syscall', 'long', ['long', 'long', 'address', 'long', 'ulong', 'address'])
const [OPENAT2, STATX] = [nativeNumber('openat2'), nativeNumber('statx')]

export function open_tree(dirfd: number, path: Uint8Array | string, flags: number): number {
  return callOpenTree(dirfd, path, flags >>> 0)
}

/** `key` and `value` as C strings (or binary data in `value`); see fsconfig(2) for what each command takes. */
export function fsconfig(fd: number, command: number, key: string | null, value: Uint8Array | null, aux: number): void {
  callFsconfig(fd, command, key === null ? null : cString(key), value, aux)
}

export interface MountAttributes {
  readonly set?: number
  readonly clear?: number
  /** MS_PRIVATE, MS_SLAVE, MS_SHARED or 0. */
  readonly propagation?: number
  /** Descriptor of a user namespace, with MOUNT_ATTR_IDMAP in `set`. */
  readonly userNamespace?: number
}

/** `flags`: AT_EMPTY_PATH, AT_RECURSIVE, AT_SYMLINK_NOFOLLOW. */
export function mount_setattr(
  dirfd: number,
  path: Uint8Array | string,
  flags: number,
  attributes: MountAttributes,
): void {
  const {set = 0, clear = 0, propagation = 0, userNamespace = 0} = attributes
  const structure = new BigUint64Array([BigInt(set), BigInt(clear), BigInt(propagation), BigInt(userNamespace)])
  callMountSetattr(dirfd, path, flags, structure, structure.byteLength)
}

const OPEN_HOW_BYTES = 24
const openHow = new FixedMemory(OPEN_HOW_BYTES)
const pathCopy = new PathCopy()

/** openat2(2). EAGAIN (a rename raced with a scoped lookup) is passed on: its number of tries is the caller's to bound. */
export function openat2(
  dirfd: number,
  path: Uint8Array | string,
  flags: number,
  mode: number,
  resolve: number,
): number {
  if (!Number.isInteger(dirfd)) throw new RangeError(`openat2: ${dirfd} is no descriptor`)
  // struct open_how: three words of 64 bits, of which the upper halves stay 0.
  const {words} = openHow
  words[0] = flags
  words[2] = mode
  words[4] = resolve
  const fd = callOpenat2(OPENAT2, dirfd, pathCopy.addressOf(path), openHow.address, OPEN_HOW_BYTES)
  if (fd < 0) throw new SystemError('openat2', lastErrno())
  return fd
}

/** `openat2` again while it fails with EAGAIN, a few times; then EAGAIN is thrown. */
export function openat2Retrying(dirfd: number, path: Uint8Array, flags: number, resolve: number, tries = 16): number {
  for (let left = tries; ; left--) {
    try {
      return openat2(dirfd, path, flags, 0, resolve)
    } catch (error) {
      if (left <= 1 || !(error instanceof SystemError && error.errno === ERRNO.EAGAIN)) throw error
    }
  }
}

export interface Statx {
  /** Type and permissions. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly nlink: number
  readonly size: number
  readonly inode: bigint
  readonly rdevMajor: number
  readonly rdevMinor: number
  readonly devMajor: number
  readonly devMinor: number
  /** The old kind of mount id, as /proc/PID/mountinfo has it; 0 before 5.8. */
  readonly mountId: number
  /** STATX_ATTR_*: MOUNT_ROOT 0x2000 among them. */
  readonly attributes: number
}

const STATX_BYTES = 256
const statxMemory = new FixedMemory(STATX_BYTES)
const statxLongs = new BigUint64Array(statxMemory.words.buffer)
const STATX_BASIC_STATS_AND_MNT_ID = 0x17ff

/** `flags`: AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW. */
export function statx(dirfd: number, path: Uint8Array | string, flags: number): Statx {
  if (!Number.isInteger(dirfd)) throw new RangeError(`statx: ${dirfd} is no descriptor`)
  const address = pathCopy.addressOf(path)
  if (callStatx(STATX, dirfd, address, flags, STATX_BASIC_STATS_AND_MNT_ID, statxMemory.address) < 0)
    throw new SystemError('statx', lastErrno())
  // struct statx in 32-bit words.
  const {words} = statxMemory
  return {
    mode: words[7]! & 0xffff,
    uid: words[5]!,
    gid: words[6]!,
    nlink: words[4]!,
    size: words[10]! + words[11]! * 2 ** 32,
    inode: statxLongs[4]!,
    rdevMajor: words[32]!,
    rdevMinor: words[33]!,
    devMajor: words[34]!,
    devMinor: words[35]!,
    mountId: words[36]! + words[37]! * 2 ** 32,
    attributes: words[2]!,
  }
}

/** statx of an open descriptor, O_PATH too. */
export function fstat(fd: number): Statx {
  return statx(fd, '', AT_EMPTY_PATH)
}

export interface FileSystemStatus {
  readonly type: number
  /** ST_* */
  readonly flags: number
}

const callFstatfs = declareUnchecked('fstatfs', 'int', ['int', 'buffer'])

/** fstatfs(2), of O_PATH descriptors too. */
export function fstatfs(fd: number): FileSystemStatus {
  const bytes = Buffer.alloc(256)
  if (callFstatfs(fd, bytes) < 0) throw new SystemError('fstatfs', lastErrno())
  return {type: bytes.readUInt32LE(0), flags: bytes.readUInt32LE(80)}
}
