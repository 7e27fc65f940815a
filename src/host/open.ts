// Opens what a person named on the host: once, component by component, past no link that a container may have made.

import {UsageError} from '../errors.js'
import {ERRNO, SystemError, errnoText} from '../ffi/errors.js'
import {O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_PATH, AT_FDCWD, closeQuietly, openat, readlinkat} from '../ffi/libc.js'
import {fstat, fstatfs} from '../ffi/mount.js'
import {ROOT, components, display, isAbsolute, join, parent} from './path-bytes.js'
import {isIn, isSystem} from './system-directories.js'

const PATH_MAX = 4096
/** MAXSYMLINKS of include/linux/namei.h. */
const LINKS_MAX = 40
const S_IFMT = 0o170_000
const S_IFLNK = 0o120_000
/** include/uapi/linux/magic.h */
const PROC_SUPER_MAGIC = 0x9fa0
const DIRECTORY = O_PATH | O_DIRECTORY | O_CLOEXEC

/** A symbolic link on the way, in a directory that a container could have written. */
export class LinkInTheWay extends Error {
  /** Absolute path of the link. */
  readonly link: Buffer

  constructor(link: Buffer) {
    super(`${display(link)} is a symbolic link, and a container may have made it`)
    this.name = 'LinkInTheWay'
    this.link = link
  }
}

/**
 * An O_PATH descriptor of what `path` leads to, for the caller to close. Links are followed in the directories of the
 * system alone (/bin, /dev/disk/by-id, /var/run): in every other one an earlier container may have left them, and nothing
 * tells its links from those of root.
 *
 * @param path absolute
 * @throws LinkInTheWay
 * @throws SystemError ENOENT and its like
 */
export function openHostPath(path: Buffer): number {
  let at = root()
  const pending = [...components(path)]
  let links = 0
  try {
    for (let part = pending.shift(); part !== undefined; part = pending.shift()) {
      const next = step(at, part)
      if (Buffer.isBuffer(next)) {
        if (++links > LINKS_MAX) throw new SystemError('openat', ERRNO.ELOOP)
        pending.unshift(...components(next))
        if (!isAbsolute(next)) continue
      }
      closeQuietly(at.fd)
      at = Buffer.isBuffer(next) ? root() : next
    }
    return at.fd
  } catch (error) {
    closeQuietly(at.fd)
    throw error
  }
}

/**
 * The same for the value of a flag.
 *
 * @throws UsageError that names the flag, and the link where one is in the way
 */
export function openNamed(flag: string, path: Buffer): number {
  try {
    return openHostPath(path)
  } catch (error) {
    if (error instanceof LinkInTheWay) {
      throw new UsageError(`cannot use --${flag} ${display(path)}: ${error.message}`, {
        hints: [`name the place that it leads to, if you trust it: readlink -f ${display(error.link)}`],
      })
    }
    if (!(error instanceof SystemError)) throw error
    const cause = error.errno === ERRNO.ENOENT ? 'there is nothing of that name' : errnoText(error.errno)
    throw new UsageError(`cannot use --${flag} ${display(path)}: ${cause}`)
  }
}

interface Place {
  readonly fd: number
  /** Without links. */
  readonly name: Buffer
}

function root(): Place {
  return {fd: openat(AT_FDCWD, '/', DIRECTORY, 0), name: ROOT}
}

/** The next directory or the end, or the text of a link that may be followed. */
function step({fd, name}: Place, part: Buffer): Buffer | Place {
  const next = openat(fd, part, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0)
  let isKept = false
  try {
    if ((fstat(next).mode & S_IFMT) !== S_IFLNK) {
      isKept = true
      return {fd: next, name: nameOf(name, part)}
    }
    if (!isFollowedIn(name)) throw new LinkInTheWay(join(name, part))
    if (fstatfs(next).type !== PROC_SUPER_MAGIC) return textOf(next, '')
    // /proc/self/fd/3 is a link to the open file itself, and its text no path.
    const target = openat(fd, part, O_PATH | O_CLOEXEC, 0)
    return {fd: target, name: textOf(AT_FDCWD, `/proc/self/fd/${target}`)}
  } finally {
    if (!isKept) closeQuietly(next)
  }
}

function textOf(directory: number, link: string): Buffer {
  const bytes = Buffer.allocUnsafe(PATH_MAX)
  return bytes.subarray(0, readlinkat(directory, link, bytes, PATH_MAX))
}

function isFollowedIn(directory: Buffer): boolean {
  if (directory.equals(ROOT) || isSystem(directory)) return true
  if (isIn(directory, '/dev/shm') || isIn(directory, '/dev/mqueue')) return false
  return ['/dev', '/proc', '/sys', '/home'].some((tree) =>
    tree === '/home' ? directory.equals(Buffer.from(tree)) : isIn(directory, tree),
  )
}

function nameOf(directory: Buffer, part: Buffer): Buffer {
  const text = part.toString('latin1')
  if (text === '.') return directory
  return text === '..' ? parent(directory) : join(directory, part)
}
