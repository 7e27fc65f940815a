// Paths of a caller, looked up from its own root and directory with its own rights. See openat2(2), fs/namei.c.

import {SystemError, isSystemError} from '../../ffi/errors.js'
import {close, duplicateCloseOnExec, readlinkat} from '../../ffi/libc.js'
import {fstat, fstatfs, openat2, openat2Retrying} from '../../ffi/mount.js'
import type {Statx} from '../../ffi/mount.js'
import {
  AT_FDCWD,
  DOT,
  LINKS_MAX,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  PATH_MAX,
  PROC_SUPER_MAGIC,
  RESOLVE_BENEATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  SLASH,
  ST_NOSYMFOLLOW,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
} from '../../kernel/constants.js'
import {ERRNO} from '../../kernel/errno.js'

/** What a lookup needs of the caller. Descriptors are O_PATH or better and stay the caller object's. */
export interface Place {
  readonly root: () => number
  /** The directory that a relative path starts at. */
  readonly base: () => number
  readonly fsuid: number
  /** The caller has DAC capabilities that count for files of its container. */
  readonly mayOverride: boolean
  /** Runs with the caller's ids and no capability at all. */
  plainly<T>(action: () => T): T
  /** The same, but on EACCES once more with the caller's DAC capabilities if `directory` lies in its id map. */
  overriding<T>(directory: number, action: () => T): T
  /** Runs with this thread in the caller's mount namespace, root and directory. */
  insideMountNamespace<T>(action: () => T): T
}

export interface SplitPath {
  /** All before the last component; empty for a single relative component. */
  readonly parent: Buffer
  readonly name: Buffer
  readonly trailingSlash: boolean
}

/** The last component and what comes before it. `/` alone is `.` below the root. */
export function splitPath(pathname: Buffer): SplitPath {
  let end = pathname.length
  while (end > 0 && pathname[end - 1] === SLASH) end--
  if (end === 0) return {parent: Buffer.from('/'), name: Buffer.from('.'), trailingSlash: true}
  const slash = pathname.lastIndexOf(SLASH, end - 1)
  let parentEnd = slash
  while (parentEnd > 0 && pathname[parentEnd - 1] === SLASH) parentEnd--
  return {
    parent: slash === -1 ? Buffer.alloc(0) : parentEnd === 0 ? Buffer.from('/') : pathname.subarray(0, parentEnd),
    name: pathname.subarray(slash + 1, end),
    trailingSlash: end < pathname.length,
  }
}

/** An O_PATH descriptor of what `pathname` (not empty) leads to. `flags`: O_NOFOLLOW, O_DIRECTORY. */
export function resolve(place: Place, pathname: Buffer, flags: number): number {
  if (pathname.length === 0) throw new SystemError('openat2', ERRNO.ENOENT)
  if (pathname.length >= PATH_MAX) throw new SystemError('openat2', ERRNO.ENAMETOOLONG)
  try {
    return pathname[0] === SLASH ? resolveAbsolute(place, pathname, flags) : resolveRelative(place, pathname, flags)
  } catch (error) {
    if (!place.mayOverride || !isSystemError(error, ERRNO.EACCES)) throw error
    return walk(place, pathname, flags)
  }
}

/** The directory that holds the last component. */
export function resolveParent(place: Place, pathname: Buffer): SplitPath & {readonly fd: number} {
  if (pathname.length === 0) throw new SystemError('openat2', ERRNO.ENOENT)
  if (pathname.length >= PATH_MAX) throw new SystemError('openat2', ERRNO.ENAMETOOLONG)
  const split = splitPath(pathname)
  const parent = split.parent.length === 0 ? Buffer.from('.') : split.parent
  return {...split, fd: resolve(place, parent, O_DIRECTORY)}
}

function resolveAbsolute(place: Place, pathname: Buffer, flags: number): number {
  const root = place.root()
  try {
    return place.plainly(() =>
      openat2Retrying(root, pathname, O_PATH | O_CLOEXEC | flags, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS),
    )
  } catch (error) {
    if (!isSystemError(error, ERRNO.EAGAIN)) throw error
    return resolveInside(place, pathname, flags)
  }
}

/**
 * Below the directory where that is enough, which is most of the time. `..` ends at the caller's root, of which a lookup
 * below a descriptor knows nothing: a root below the directory would be left. Links may hold `..`, so both go inside.
 */
function resolveRelative(place: Place, pathname: Buffer, flags: number): number {
  const base = place.base()
  if (hasParent(pathname)) return resolveInside(place, pathname, flags)
  try {
    return place.plainly(() =>
      openat2Retrying(base, pathname, O_PATH | O_CLOEXEC | flags, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS),
    )
  } catch (error) {
    if (!isSystemError(error, ERRNO.ELOOP) && !isSystemError(error, ERRNO.EAGAIN)) throw error
    return resolveInside(place, pathname, flags)
  }
}

function resolveInside(place: Place, pathname: Buffer, flags: number): number {
  return place.insideMountNamespace(() =>
    place.plainly(() => openat2(AT_FDCWD, pathname, O_PATH | O_CLOEXEC | flags, 0, RESOLVE_NO_MAGICLINKS)),
  )
}

/**
 * The same lookup one component at a time, so that the caller's DAC capabilities are used only for directories whose
 * owner and group lie in its id map (capable_wrt_inode_uidgid); elsewhere they would be the host's own.
 */
function walk(place: Place, pathname: Buffer, flags: number): number {
  const walker = new Walker(place)
  try {
    return walker.run(pathname, (flags & O_NOFOLLOW) !== 0, (flags & O_DIRECTORY) !== 0)
  } finally {
    walker.close()
  }
}

class Walker {
  readonly #place: Place
  readonly #root: number
  /** Descriptor that the next component is looked up in; ours to close. */
  #at = -1
  #links = 0

  constructor(place: Place) {
    this.#place = place
    this.#root = place.root()
  }

  close(): void {
    if (this.#at !== -1) close(this.#at)
    this.#at = -1
  }

  /** Components still to do are kept in one list, into which links put theirs: no recursion, bounded by LINKS_MAX. */
  run(pathname: Buffer, noFollow: boolean, directory: boolean): number {
    const todo = components(pathname)
    this.#move(pathname[0] === SLASH ? duplicateCloseOnExec(this.#root) : duplicateCloseOnExec(this.#place.base()))
    while (todo.length > 0) {
      const name = todo.shift()!
      const isLast = todo.length === 0
      if (name.length === 0 || isDots(name, 1)) {
        this.#requireDirectory()
        // A last `.` or slash still asks for search permission, as the kernel's own walk does.
        this.#move(this.#open(Buffer.from('.')))
      } else if (isDots(name, 2)) this.#up()
      else this.#down(name, isLast && noFollow, todo)
    }
    if (directory) this.#requireDirectory()
    const result = this.#at
    this.#at = -1
    return result
  }

  #down(name: Buffer, keepLink: boolean, todo: Buffer[]): void {
    const next = this.#open(name)
    try {
      const status = fstat(next)
      if ((status.mode & S_IFMT) !== S_IFLNK || keepLink) {
        this.#move(duplicateCloseOnExec(next))
        return
      }
      const target = this.#readLink(next, status)
      todo.unshift(...components(target))
      if (target[0] === SLASH) this.#move(duplicateCloseOnExec(this.#root))
    } finally {
      close(next)
    }
  }

  #readLink(link: number, status: Statx): Buffer {
    const {type, flags} = fstatfs(link)
    // Links of /proc may be magic; those lead out of any root, and the plain ones depend on who reads them.
    if (type === PROC_SUPER_MAGIC || (flags & ST_NOSYMFOLLOW) !== 0) throw new SystemError('openat2', ERRNO.ELOOP)
    if (++this.#links > LINKS_MAX) throw new SystemError('openat2', ERRNO.ELOOP)
    const parent = fstat(this.#at)
    // may_follow_link(): fs.protected_symlinks, which knows no capability.
    const isShared = (parent.mode & 0o1002) === 0o1002
    if (isShared && status.uid !== this.#place.fsuid && status.uid !== parent.uid)
      throw new SystemError('openat2', ERRNO.EACCES)
    const target = Buffer.alloc(PATH_MAX)
    const length = readlinkat(link, '', target, PATH_MAX)
    if (length === 0) throw new SystemError('openat2', ERRNO.ENOENT)
    return target.subarray(0, length)
  }

  #up(): void {
    this.#requireDirectory()
    if (isSameDirectory(fstat(this.#at), fstat(this.#root))) this.#move(this.#open(Buffer.from('.')))
    else this.#move(this.#open(Buffer.from('..')))
  }

  #open(name: Buffer): number {
    const at = this.#at
    return this.#place.overriding(at, () =>
      openat2(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0, RESOLVE_NO_MAGICLINKS),
    )
  }

  #requireDirectory(): void {
    if ((fstat(this.#at).mode & S_IFMT) !== S_IFDIR) throw new SystemError('openat2', ERRNO.ENOTDIR)
  }

  #move(to: number): void {
    this.close()
    this.#at = to
  }
}

/** A trailing slash leaves an empty component at the end: what comes before must be a directory, links followed. */
function components(pathname: Buffer): Buffer[] {
  const parts: Buffer[] = []
  let start = 0
  for (let index = 0; index <= pathname.length; index++) {
    if (index < pathname.length && pathname[index] !== SLASH) continue
    if (index > start) parts.push(pathname.subarray(start, index))
    start = index + 1
  }
  if (pathname.at(-1) === SLASH) parts.push(Buffer.alloc(0))
  return parts
}

/** Whether one of the components is `..`. */
function hasParent(pathname: Buffer): boolean {
  for (let at = pathname.indexOf('..'); at !== -1; at = pathname.indexOf('..', at + 1)) {
    const [before, behind] = [pathname[at - 1], pathname[at + 2]]
    if ((before === undefined || before === SLASH) && (behind === undefined || behind === SLASH)) return true
  }
  return false
}

function isDots(name: Buffer, count: number): boolean {
  return name.length === count && name.every((byte) => byte === DOT)
}

function isSameDirectory(one: Statx, other: Statx): boolean {
  return (
    one.inode === other.inode &&
    one.devMajor === other.devMajor &&
    one.devMinor === other.devMinor &&
    one.mountId === other.mountId
  )
}
