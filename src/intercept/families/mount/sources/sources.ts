// What a mount may be made from: looked up with the caller's rights, then compared with what the policy names.

import {isUtf8} from 'node:buffer'
import {readFileSync} from 'node:fs'

import {SystemError} from '../../../../ffi/errors.js'
import {closeQuietly, duplicateCloseOnExec} from '../../../../ffi/libc.js'
import {fstat, fstatfs, openat2} from '../../../../ffi/mount.js'
import type {Statx} from '../../../../ffi/mount.js'
import {CAP, capabilityMask} from '../../../../kernel/capabilities.js'
import {
  AT_FDCWD,
  O_CLOEXEC,
  O_NOFOLLOW,
  O_PATH,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  ST_NODEV,
  S_IFBLK,
  S_IFMT,
  S_IFREG,
} from '../../../../kernel/constants.js'
import type {Device} from '../../../../kernel/device-numbers.js'
import {ERRNO} from '../../../../kernel/errno.js'
import {pathOfDescriptor} from '../../../caller/descriptor-path.js'
import {escapeBytes} from '../../../caller/escape.js'
import type {OwnCapabilities} from '../../../caller/own-capabilities.js'
import type {Caller, Verdict} from '../../../family.js'
import {allowedBy} from '../../../hint.js'
import {source} from '../policy.js'
import type {LoopImage} from './image.js'
import type {OpenedSource} from './opened.js'

const SEARCHING = capabilityMask(CAP.DAC_READ_SEARCH)

export type MountSource =
  | {readonly kind: 'device'; readonly device: Device}
  /** `file`: the caller's own view of the image (O_PATH), the caller of `find` closes it. */
  | {readonly kind: 'image'; readonly file: number}
  | {readonly kind: 'stand-in'; readonly device: Device; readonly image: LoopImage & {readonly file: number}}
  | Extract<Verdict, {kind: 'refuse'}>

/** The `sources` of a policy. A file of the container is one of them when it is the same inode on the host. */
export class MountSources {
  readonly #own: OwnCapabilities
  readonly #opened: readonly OpenedSource[]

  constructor(own: OwnCapabilities, opened: readonly OpenedSource[]) {
    this.#own = own
    this.#opened = opened
  }

  /** What `source` leads to for the caller. The descriptor of an image is the host's file, and the caller's to close. */
  find(source: Buffer | null, caller: Caller, standIn: (fd: number) => LoopImage | undefined): MountSource {
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

  #findBlock(device: Device, shown: Buffer, image: LoopImage | undefined): MountSource {
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
    const isListed = this.#opened.some(
      (source) => source.kind === 'device' && source.device.major === major && source.device.minor === minor,
    )
    return isListed ? {kind: 'device', device} : refusal(`block ${major}:${minor}`, shown)
  }

  /** `fd`: of the file in the container. The descriptor that is found is another one of the same file there. */
  findImage(fd: number, shown: Buffer): MountSource {
    const status = fstat(fd)
    const isListed = this.#opened.some((source) => {
      if (source.kind === 'image') return isSame(fstat(source.fd), status)
      return source.kind === 'directory' && this.#isBelow(source, fd, status)
    })
    return isListed ? {kind: 'image', file: duplicateCloseOnExec(fd)} : refusal('this image', shown)
  }

  /** Whether the directory has this very file at the place where the container shows it. */
  #isBelow({fd, path}: Extract<OpenedSource, {kind: 'directory'}>, inside: number, status: Statx): boolean {
    const rest = below(pathOfDescriptor(inside), path)
    if (rest === undefined) return false
    const resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS
    let file: number
    try {
      file = this.#own.with(SEARCHING, () => openat2(fd, rest, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0, resolve))
    } catch (error) {
      if (error instanceof SystemError) return false
      throw error
    }
    try {
      return isSame(fstat(file), status)
    } finally {
      closeQuietly(file)
    }
  }
}

/** `shown`: what the flag would name, where that is known. */
function refusal(what: string, shown: Buffer): Extract<Verdict, {kind: 'refuse'}> {
  const reason = `${what} is not among the sources that may be mounted`
  // The flag takes text: another name can only be reached through the directory that it lies in.
  const hint = isUtf8(shown)
    ? allowedBy(source, shown.toString())
    : {advice: `name a directory around ${escapeBytes(shown)} with --${source.name}`}
  return {kind: 'refuse', errno: ERRNO.EPERM, reason, hint}
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
