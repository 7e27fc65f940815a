// What a mount may be made from: looked up with the caller's rights, then compared with what the policy names.

import {readFileSync, realpathSync} from 'node:fs'

import {CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, capabilityMask} from '../../../../ffi/credentials.js'
import {ERRNO, SystemError} from '../../../../ffi/errors.js'
import {
  AT_FDCWD,
  O_CLOEXEC,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  closeQuietly,
  openat,
  readlinkat,
} from '../../../../ffi/libc.js'
import {
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  fstat,
  fstatfs,
  openat2,
} from '../../../../ffi/mount.js'
import type {Statx} from '../../../../ffi/mount.js'
import {escapeBytes} from '../../../caller/escape.js'
import type {OwnCapabilities} from '../../../caller/own-capabilities.js'
import type {Device} from '../../../policy.js'
import type {Caller, Verdict} from '../../../family.js'
import type {StandInImage} from '../loop/stand-in.js'

const S_IFMT = 0o170_000
const S_IFBLK = 0o060_000
const S_IFREG = 0o100_000
const S_IFDIR = 0o040_000
const ST_NODEV = 4
const PATH_MAX = 4096
const OPENING = capabilityMask(CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH)

export type MountSource =
  | {readonly kind: 'device'; readonly device: Device}
  /** `path`: of the host. */
  | {readonly kind: 'image'; readonly file: number}
  | {readonly kind: 'stand-in'; readonly device: Device; readonly image: StandInImage & {readonly file: number}}
  | Extract<Verdict, {kind: 'refuse'}>

/** The `sources` of a policy. A file of the container is one of them when it is the same inode on the host. */
export class MountSources {
  readonly #own: OwnCapabilities
  readonly #paths: readonly string[]

  constructor(own: OwnCapabilities, paths: readonly string[]) {
    this.#own = own
    this.#paths = paths
  }

  /** What `source` leads to for the caller. The descriptor of an image is the host's file, and the caller's to close. */
  find(source: Buffer | null, caller: Caller, standIn: (fd: number) => StandInImage | undefined): MountSource {
    // get_tree_bdev() and lookup_bdev() of fs/super.c and block/bdev.c.
    if (source === null) throw new SystemError('mount', ERRNO.EINVAL)
    if (source.length === 0) throw new SystemError('mount', ERRNO.ENOENT)
    const fd = caller.openPath(AT_FDCWD, source, {follow: true})
    const status = fstat(fd)
    switch (status.mode & S_IFMT) {
      case S_IFBLK:
        if ((fstatfs(fd).flags & ST_NODEV) !== 0) throw new SystemError('mount', ERRNO.EACCES)
        return this.#findBlock({type: 'b', major: status.rdevMajor, minor: status.rdevMinor}, source, standIn(fd))
      case S_IFREG:
        return this.findImage(fd, source)
      default:
        throw new SystemError('mount', ERRNO.ENOTBLK)
    }
  }

  #findBlock(device: Device, shown: Buffer, image: StandInImage | undefined): MountSource {
    if (image === undefined) return this.findDevice(device, shown)
    const {file} = image
    return file === undefined
      ? refusal('the image of this loop device', shown)
      : {kind: 'stand-in', device, image: {...image, file}}
  }

  /** What `standIn` says of the node that `source` leads to; undefined where that is none, or nothing at all. */
  ofNode<T>(source: Buffer, caller: Caller, standIn: (fd: number) => T): T | undefined {
    let fd: number
    try {
      fd = caller.openPath(AT_FDCWD, source, {follow: true})
    } catch (error) {
      // A source of its own kind, such as host:directory.
      if (error instanceof SystemError) return undefined
      throw error
    }
    return standIn(fd)
  }

  findDevice(device: Device, shown: Buffer): MountSource {
    const {major, minor} = device
    const isListed = this.#paths.some((path) => {
      const status = this.#status(path)
      return (
        status !== undefined &&
        (status.mode & S_IFMT) === S_IFBLK &&
        status.rdevMajor === major &&
        status.rdevMinor === minor
      )
    })
    return isListed ? {kind: 'device', device} : refusal(`block ${major}:${minor}`, shown)
  }

  /** `fd`: of the file in the container. */
  findImage(fd: number, shown: Buffer): MountSource {
    const inside = linkOf(fd)
    for (const path of this.#paths) {
      const file = this.#open(path, inside)
      if (file === undefined) continue
      if (isSame(fstat(file), fstat(fd))) return {kind: 'image', file}
      closeQuietly(file)
    }
    return refusal('this image', shown)
  }

  /** With the supervisor's rights: being named in the policy is what allows it. */
  openImage(file: number, readOnly: boolean): number {
    const flags = (readOnly ? O_RDONLY : O_RDWR) | O_CLOEXEC
    return this.#own.with(OPENING, () => openat(AT_FDCWD, `/proc/self/fd/${file}`, flags, 0))
  }

  #status(path: string): Statx | undefined {
    const fd = this.#openPath(path)
    if (fd === undefined) return undefined
    try {
      return fstat(fd)
    } finally {
      closeQuietly(fd)
    }
  }

  #openPath(path: string): number | undefined {
    try {
      return this.#own.with(OPENING, () => openat(AT_FDCWD, path, O_PATH | O_CLOEXEC, 0))
    } catch (error) {
      if (error instanceof SystemError) return undefined
      throw error
    }
  }

  /** The image that `path` names, or below that directory the one that the container shows in the same place. */
  #open(path: string, inside: Buffer): number | undefined {
    const fd = this.#openPath(path)
    if (fd === undefined) return undefined
    const type = fstat(fd).mode & S_IFMT
    if (type === S_IFREG) return fd
    try {
      if (type !== S_IFDIR) return undefined
      const real = this.#own.with(OPENING, () => realpathSync(path, {encoding: 'buffer'}))
      const rest = below(inside, real)
      if (rest === undefined) return undefined
      const resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS
      return this.#own.with(OPENING, () => openat2(fd, rest, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0, resolve))
    } catch (error) {
      if (error instanceof SystemError || (error as NodeJS.ErrnoException).code !== undefined) return undefined
      throw error
    } finally {
      closeQuietly(fd)
    }
  }
}

/** `shown`: what the flag would name, where that is known. */
function refusal(what: string, shown: Buffer): Extract<Verdict, {kind: 'refuse'}> {
  const hint = `--mount-source ${escapeBytes(shown)} would allow it`
  return {kind: 'refuse', errno: ERRNO.EPERM, reason: `${what} is not among the sources that may be mounted`, hint}
}

function isSame(one: Statx, other: Statx): boolean {
  return one.inode === other.inode && one.devMajor === other.devMajor && one.devMinor === other.devMinor
}

/** What comes after `directory` in `path`, without a slash. */
function below(path: Buffer, directory: Buffer): Buffer | undefined {
  const prefix = directory.length === 1 ? directory : Buffer.concat([directory, Buffer.from('/')])
  return path.subarray(0, prefix.length).equals(prefix) && path.length > prefix.length
    ? path.subarray(prefix.length)
    : undefined
}

function linkOf(fd: number): Buffer {
  const bytes = Buffer.allocUnsafe(PATH_MAX)
  return bytes.subarray(0, readlinkat(AT_FDCWD, `/proc/self/fd/${fd}`, bytes, PATH_MAX))
}

/** File systems that have no device: the kernel's own list, which grows as modules are loaded. */
export function needsDevice(type: string): boolean {
  const nodev = readFileSync('/proc/filesystems', 'latin1')
    .split('\n')
    .some((line) => line === `nodev\t${type}`)
  return !nodev && !WITHOUT_DEVICE.has(type)
}

/** Those whose module may not be there yet. */
const WITHOUT_DEVICE = new Set(
  '9p afs ceph cifs ecryptfs hugetlbfs nfs nfs4 orangefs overlay smb3 vboxsf virtiofs'.split(' '),
)
