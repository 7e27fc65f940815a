// Sets, reads, lists and removes trusted attributes in a caller's place: as such, or kept as user.* without the right to.

import {SystemError} from '../../../ffi/errors.js'
import {fcntl, getxattr, listxattr, readlinkat, removexattr, setxattr} from '../../../ffi/libc.js'
import {fstat, fstatfs} from '../../../ffi/mount.js'
import {CAP, capabilityMask} from '../../../kernel/capabilities.js'
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  F_GETFL,
  O_PATH,
  PATH_MAX,
  ST_RDONLY,
  XATTR_LIST_MAX,
  XATTR_SIZE_MAX,
} from '../../../kernel/constants.js'
import {ERRNO} from '../../../kernel/errno.js'
import {isMapped} from '../../caller/id-map.js'
import {isUnread} from '../../caller/tolerant.js'
import type {Unread} from '../../caller/tolerant.js'
import type {ContainerDescription} from '../../container.js'
import type {Caller, ManifestEntry, Performed} from '../../family.js'
import {RECORDED_PREFIX} from '../../records.js'
import {isTrustedCaller, textOf} from './decide.js'

const SHORT_LIST_BYTES = 1024
const TRUSTED = 'trusted.'
const NO_ATTRIBUTE = Buffer.from('trusted.interceptor.none')

export interface AttributeState {
  readonly container: ContainerDescription
  /** Allowlisted names, one character for each byte. */
  readonly names: ReadonlySet<string>
  /** trusted: as they are. user: kept as user.interceptor.trusted.*, which the file's owner may set. */
  readonly strategy: 'trusted' | 'user'
  /** What the kernel asks of us for it; no more is raised, and only for files that belong to the container. */
  readonly capabilities: bigint
}

export function attributeState(names: readonly string[], container: ContainerDescription): AttributeState {
  return {
    container,
    names: new Set(names.map((name) => Buffer.from(name).toString('latin1'))),
    ...(container.rootless
      ? {strategy: 'user', capabilities: capabilityMask(CAP.DAC_OVERRIDE, CAP.DAC_READ_SEARCH, CAP.FOWNER)}
      : {strategy: 'trusted', capabilities: capabilityMask(CAP.SYS_ADMIN)}),
  }
}

/** The file as a variant of the calls names it. */
export type Target =
  | {readonly kind: 'descriptor'; readonly fd: number}
  | {readonly kind: 'path'; readonly path: Buffer | Unread; readonly follow: boolean}
  /** `path` is null for a null pointer, which AT_EMPTY_PATH allows. */
  | {
      readonly kind: 'at'
      readonly dirfd: number
      readonly path: Buffer | Unread | null
      readonly follow: boolean
      readonly empty: boolean
    }

const LEFT_TO_KERNEL: Performed = {kind: 'continue', silent: true, reason: 'there is no trusted attribute to show'}

export function performSet(
  target: Target,
  values: {readonly name: Buffer | Unread; readonly value: Buffer | Unread | null; readonly flags: number},
  caller: Caller,
  state: AttributeState,
): Performed {
  return attempt(state, () => {
    const value = readOrThrow(values.value ?? {errno: ERRNO.E2BIG})
    const name = readOrThrow(values.name)
    const fd = openTarget(target, caller)
    const foreign = refuseForeign(fd, state)
    if (foreign !== undefined) return foreign
    caller.act(state.capabilities, undefined, () =>
      setxattr(pathTo(fd), stored(name, state), value.length === 0 ? null : value, value.length, values.flags),
    )
    return {kind: 'done', value: 0, strategy: state.strategy, ...created(fd, {name, value}, state)}
  })
}

export function performRemove(
  target: Target,
  bytes: Buffer | Unread,
  caller: Caller,
  state: AttributeState,
): Performed {
  return attempt(state, () => {
    const name = readOrThrow(bytes)
    const fd = openTarget(target, caller)
    const foreign = refuseForeign(fd, state)
    if (foreign !== undefined) return foreign
    caller.act(state.capabilities, undefined, () => removexattr(pathTo(fd), stored(name, state)))
    return {kind: 'done', value: 0, strategy: state.strategy, ...created(fd, {name, removed: true}, state)}
  })
}

/**
 * Nothing is ever removed: without CAP_SYS_ADMIN xattr_permission() in fs/xattr.c refuses every trusted attribute, after
 * the file was found and may be written.
 */
export function attemptWithoutPermission(target: Target, caller: Caller): void {
  const fd = openTarget(target, caller)
  caller.act(0n, undefined, () => removexattr(pathTo(fd), NO_ATTRIBUTE))
}

/** What is not there, or not the container's, the kernel finds missing by itself (xattr_permission()). */
export function performGet(
  target: Target,
  {name, value, size}: {readonly name: Buffer | Unread; readonly value: number; readonly size: number},
  caller: Caller,
  state: AttributeState,
): Performed {
  const text = textOf(name)
  // Asked for by the name that it is kept under: it is not there under that one.
  if (isUnread(name) || text === undefined || !state.names.has(text)) {
    return {kind: 'failed', errno: ERRNO.ENODATA, strategy: state.strategy, reason: 'it is shown as trusted.*'}
  }
  const fd = openOwn(target, caller, state)
  if (fd === undefined) return LEFT_TO_KERNEL
  return attempt(state, () => {
    const limit = sizeLimit(size, XATTR_SIZE_MAX)
    const bytes = limit === 0 ? null : Buffer.allocUnsafe(limit)
    let length: number
    try {
      length = caller.act(state.capabilities, undefined, () => getxattr(pathTo(fd), stored(name, state), bytes, limit))
    } catch (error) {
      if (!(error instanceof SystemError)) throw error
      if (error.errno === ERRNO.ENODATA || error.errno === ERRNO.EOPNOTSUPP) return LEFT_TO_KERNEL
      throw limit === XATTR_SIZE_MAX && error.errno === ERRNO.ERANGE ? new SystemError('getxattr', ERRNO.E2BIG) : error
    }
    if (bytes !== null && length > 0) caller.memory.write(value, bytes.subarray(0, length))
    return {kind: 'done', value: length, strategy: state.strategy}
  })
}

/** The kernel's own list where nothing is to be added to it, or hidden. */
export function performList(
  target: Target,
  {list, size}: {readonly list: number; readonly size: number},
  caller: Caller,
  state: AttributeState,
): Performed {
  const fd = openOwn(target, caller, state)
  if (fd === undefined) return LEFT_TO_KERNEL
  const known = listOf(fd, caller, state)
  if (known === undefined) return LEFT_TO_KERNEL
  const shown = shownNames(known, isTrustedCaller(caller.facts), state)
  if (shown === undefined) return LEFT_TO_KERNEL
  return attempt(state, () => {
    const limit = sizeLimit(size, XATTR_LIST_MAX)
    if (limit !== 0 && shown.length > limit) {
      throw new SystemError('listxattr', limit === XATTR_LIST_MAX ? ERRNO.E2BIG : ERRNO.ERANGE)
    }
    if (limit !== 0 && shown.length > 0) caller.memory.write(list, shown)
    return {kind: 'done', value: shown.length, strategy: state.strategy}
  })
}

/** All names, trusted ones too; undefined where the kernel has an error, which it then tells the caller itself. */
function listOf(fd: number, caller: Caller, state: AttributeState): string | undefined {
  for (const size of [SHORT_LIST_BYTES, XATTR_LIST_MAX]) {
    const bytes = Buffer.allocUnsafe(size)
    try {
      const length = caller.act(state.capabilities, undefined, () => listxattr(pathTo(fd), bytes, size))
      return bytes.toString('latin1', 0, length)
    } catch (error) {
      if (!(error instanceof SystemError)) throw error
      if (error.errno !== ERRNO.ERANGE) return undefined
    }
  }
  return undefined
}

/** What the caller is to see; undefined where that is what the kernel shows it. */
function shownNames(known: string, isTrusted: boolean, {names, strategy}: AttributeState): Buffer | undefined {
  const prefix = strategy === 'user' ? RECORDED_PREFIX : ''
  let isChanged = false
  const shown: string[] = []
  for (const name of known.split('\0')) {
    if (name === '') continue
    if (!name.startsWith(`${prefix}${TRUSTED}`)) {
      // In a rootless container the kernel itself shows or hides the real ones.
      shown.push(name)
      continue
    }
    const original = name.slice(prefix.length)
    const isVisible = isTrusted && names.has(original)
    if (isVisible) shown.push(original)
    // Without a prefix the kernel hides it by itself; with one it would show it under that name.
    if (isVisible || prefix !== '') isChanged = true
  }
  return isChanged ? Buffer.from(shown.map((name) => `${name}\0`).join(''), 'latin1') : undefined
}

/** Follows the order of path_setxattrat() in fs/xattr.c. The descriptor is the caller object's. */
function openTarget(target: Target, caller: Caller): number {
  switch (target.kind) {
    case 'descriptor':
      return openForFile(target.fd, caller)
    case 'path':
      return openPath(AT_FDCWD, readOrThrow(target.path), target.follow, caller)
    case 'at': {
      const {dirfd, path, follow, empty} = target
      if (empty && (path === null || (!isUnread(path) && path.length === 0))) {
        return dirfd >= 0 ? openForFile(dirfd, caller) : caller.openPath(dirfd, Buffer.alloc(0), {follow})
      }
      return openPath(dirfd, readOrThrow(path ?? {errno: ERRNO.EFAULT}), follow, caller)
    }
    default:
      target satisfies never
      throw new Error('unknown target')
  }
}

function openPath(dirfd: number, path: Buffer, follow: boolean, caller: Caller): number {
  if (path.length === 0) throw new SystemError('setxattr', ERRNO.ENOENT)
  return caller.openPath(dirfd, path, {follow})
}

/** fdget() knows no O_PATH descriptors. */
function openForFile(number: number, caller: Caller): number {
  const fd = caller.openDescriptor(number)
  if ((fcntl(fd, F_GETFL, 0) & O_PATH) !== 0) throw new SystemError('fsetxattr', ERRNO.EBADF)
  return fd
}

/** For reading: undefined where the file can't be reached or is not the container's. */
function openOwn(target: Target, caller: Caller, state: AttributeState): number | undefined {
  try {
    const fd = openTarget(target, caller)
    return isOwn(fd, state) ? fd : undefined
  } catch (error) {
    if (error instanceof SystemError) return undefined
    throw error
  }
}

/** Owner and group both in the container's map, which is the kernel's own rule (capable_wrt_inode_uidgid()). */
function isOwn(fd: number, {container}: AttributeState): boolean {
  const {uid, gid} = fstat(fd)
  return isMapped(container.uidMap, uid) && isMapped(container.gidMap, gid)
}

/** Our capability counts for every file of the host: this is what keeps it to the container's. */
function refuseForeign(fd: number, state: AttributeState): Performed | undefined {
  if (isOwn(fd, state)) return undefined
  // mnt_want_write() comes before all rights.
  const errno = (fstatfs(fd).flags & ST_RDONLY) === 0 ? ERRNO.EPERM : ERRNO.EROFS
  return {kind: 'refuse', errno, reason: 'the file belongs to nobody in the container'}
}

/** The magic link leads to the open file itself: no name is looked up again, symbolic links are not followed. */
function pathTo(fd: number): string {
  return `/proc/self/fd/${fd}`
}

function stored(name: Buffer, {strategy}: AttributeState): Buffer {
  return strategy === 'user' ? Buffer.concat([Buffer.from(RECORDED_PREFIX), name]) : name
}

function sizeLimit(size: number, most: number): number {
  return size <= most ? size : most
}

function readOrThrow<T>(value: T | Unread): T {
  if (isUnread(value)) throw new SystemError('copy_from_user', value.errno)
  return value
}

function created(
  fd: number,
  members: Readonly<Record<string, Buffer | boolean>>,
  {strategy}: AttributeState,
): {readonly created?: ManifestEntry} {
  const path = Buffer.allocUnsafe(PATH_MAX)
  try {
    const length = readlinkat(AT_FDCWD, pathTo(fd), path, path.length)
    return {created: {kind: 'attribute', path: path.subarray(0, length), strategy, ...members}}
  } catch (error) {
    // d_path() gives up where the path is longer than a page: then nothing can be told of it.
    if (error instanceof SystemError) return {}
    throw error
  }
}

function attempt({strategy}: AttributeState, action: () => Performed): Performed {
  try {
    return action()
  } catch (error) {
    if (error instanceof SystemError) return {kind: 'failed', errno: error.errno, strategy}
    throw error
  }
}

export {AT_EMPTY_PATH}
