// The mount interfaces of Linux 5.2 and later, openat2(2) and statx(2), by number: the same on every machine.

import {FixedMemory, PathCopy, cString, declareLong, declareUnchecked, lastErrno} from './declare.js'
import {SystemError} from './errors.js'

export const OPEN_TREE_CLONE = 1
export const OPEN_TREE_CLOEXEC = 0o2000000
export const AT_RECURSIVE = 0x8000
export const AT_NO_AUTOMOUNT = 0x800
export const MOVE_MOUNT_F_SYMLINKS = 0x1
export const MOVE_MOUNT_F_EMPTY_PATH = 0x4
export const MOVE_MOUNT_T_SYMLINKS = 0x10
export const MOVE_MOUNT_T_EMPTY_PATH = 0x40
export const MOVE_MOUNT_SET_GROUP = 0x100
export const MOVE_MOUNT_BENEATH = 0x200

export const MOUNT_ATTR_RDONLY = 0x1
export const MOUNT_ATTR_NOSUID = 0x2
export const MOUNT_ATTR_NODEV = 0x4
export const MOUNT_ATTR_NOEXEC = 0x8
export const MOUNT_ATTR__ATIME = 0x70
export const MOUNT_ATTR_RELATIME = 0
export const MOUNT_ATTR_NOATIME = 0x10
export const MOUNT_ATTR_STRICTATIME = 0x20
export const MOUNT_ATTR_NODIRATIME = 0x80
export const MOUNT_ATTR_IDMAP = 0x100000
export const MOUNT_ATTR_NOSYMFOLLOW = 0x200000

export const MS_PRIVATE = 1 << 18
export const MS_SLAVE = 1 << 19
export const MS_SHARED = 1 << 20

export const FSOPEN_CLOEXEC = 1
export const FSPICK_CLOEXEC = 1
export const FSPICK_NO_AUTOMOUNT = 4
export const FSPICK_EMPTY_PATH = 8
export const FSMOUNT_CLOEXEC = 1
export const FSCONFIG_SET_FLAG = 0
export const FSCONFIG_SET_STRING = 1
export const FSCONFIG_SET_BINARY = 2
export const FSCONFIG_SET_PATH = 3
export const FSCONFIG_SET_PATH_EMPTY = 4
export const FSCONFIG_SET_FD = 5
export const FSCONFIG_CMD_CREATE = 6
export const FSCONFIG_CMD_RECONFIGURE = 7
export const FSCONFIG_CMD_CREATE_EXCL = 8

export const RESOLVE_NO_XDEV = 0x01
export const RESOLVE_NO_MAGICLINKS = 0x02
export const RESOLVE_NO_SYMLINKS = 0x04
export const RESOLVE_BENEATH = 0x08
export const RESOLVE_IN_ROOT = 0x10

const callOpenTree = declareLong('syscall', ['long', 'long', 'path', 'ulong'], 'open_tree')
const callMoveMount = declareLong('syscall', ['long', 'long', 'path', 'long', 'path', 'ulong'], 'move_mount')
const callFsopen = declareLong('syscall', ['long', 'path', 'ulong'], 'fsopen')
const callFsconfig = declareLong('syscall', ['long', 'long', 'ulong', 'buffer', 'buffer', 'long'], 'fsconfig')
const callFsmount = declareLong('syscall', ['long', 'long', 'ulong', 'ulong'], 'fsmount')
const callFspick = declareLong('syscall', ['long', 'long', 'path', 'ulong'], 'fspick')
const callMountSetattr = declareLong('syscall', ['long', 'long', 'path', 'ulong', 'buffer', 'ulong'], 'mount_setattr')
const callOpenat2 = declareUnchecked('syscall', 'long', ['long', 'long', 'address', 'address', 'ulong'])
const callStatx = declareUnchecked('syscall', 'long', ['long', 'long', 'address', 'long', 'ulong', 'address'])
const statxNumber = process.arch === 'arm64' ? 291 : 332

export function open_tree(dirfd: number, path: Uint8Array | string, flags: number): number {
  return callOpenTree(428, dirfd, path, flags >>> 0)
}

export function move_mount(
  fromFd: number,
  from: Uint8Array | string,
  toFd: number,
  to: Uint8Array | string,
  flags: number,
): void {
  callMoveMount(429, fromFd, from, toFd, to, flags)
}

export function fsopen(type: Uint8Array | string, flags: number): number {
  return callFsopen(430, type, flags)
}

/** `key` and `value` as C strings (or binary data in `value`); see fsconfig(2) for what each command takes. */
export function fsconfig(fd: number, command: number, key: string | null, value: Uint8Array | null, aux: number): void {
  callFsconfig(431, fd, command, key === null ? null : cString(key), value, aux)
}

export function fsmount(fd: number, flags: number, attributes: number): number {
  return callFsmount(432, fd, flags, attributes)
}

export function fspick(dirfd: number, path: Uint8Array | string, flags: number): number {
  return callFspick(433, dirfd, path, flags)
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
  callMountSetattr(442, dirfd, path, flags, structure, structure.byteLength)
}

const EAGAIN = 11
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
  const fd = callOpenat2(437, dirfd, pathCopy.addressOf(path), openHow.address, OPEN_HOW_BYTES)
  if (fd < 0) throw new SystemError('openat2', lastErrno())
  return fd
}

/** `openat2` again while it fails with EAGAIN, a few times; then EAGAIN is thrown. */
export function openat2Retrying(dirfd: number, path: Uint8Array, flags: number, resolve: number, tries = 16): number {
  for (let left = tries; ; left--) {
    try {
      return openat2(dirfd, path, flags, 0, resolve)
    } catch (error) {
      if (left <= 1 || !(error instanceof SystemError && error.errno === EAGAIN)) throw error
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

export const STATX_ATTR_MOUNT_ROOT = 0x2000
const STATX_BYTES = 256
const statxMemory = new FixedMemory(STATX_BYTES)
const statxLongs = new BigUint64Array(statxMemory.words.buffer)
const STATX_BASIC_STATS_AND_MNT_ID = 0x17ff

/** `flags`: AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW. */
export function statx(dirfd: number, path: Uint8Array | string, flags: number): Statx {
  if (!Number.isInteger(dirfd)) throw new RangeError(`statx: ${dirfd} is no descriptor`)
  const address = pathCopy.addressOf(path)
  if (callStatx(statxNumber, dirfd, address, flags, STATX_BASIC_STATS_AND_MNT_ID, statxMemory.address) < 0)
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
  return statx(fd, '', 0x1000)
}

export const PROC_SUPER_MAGIC = 0x9fa0
/** statvfs flag of a mount that does not follow symbolic links (5.10). */
export const ST_NOSYMFOLLOW = 0x2000

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
