// Opens what a person named on the host: once, component by component, past no link that a container may have made.

import {causeOf} from '../causes.js'
import {UsageError} from '../errors.js'
import {SystemError, isSystemError} from '../ffi/errors.js'
import {closeQuietly, openat, readlinkat} from '../ffi/libc.js'
import {fstat, fstatfs} from '../ffi/mount.js'
import {
  AT_FDCWD,
  LINKS_MAX,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  PATH_MAX,
  PROC_SUPER_MAGIC,
  SLASH,
  S_IFLNK,
  S_IFMT,
} from '../kernel/constants.js'
import {ERRNO} from '../kernel/errno.js'
import {ROOT, absolute, components, display, isAbsolute, join, parent} from './path-bytes.js'
import {isIn, isSystem} from './system-directories.js'

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
  return naming(flag, path, () => openHostPath(path))
}

/** The same for what need not be there yet: undefined where there is nothing, and no link on the way. */
export function openNamedIfThere(flag: string, path: Buffer): number | undefined {
  return naming(flag, path, () => openIfThere(path))
}

/** A file that is to be written: what stands at its name, if anything does, and the directory where it belongs. */
export interface NamedFile {
  /** O_PATH descriptors, for the taker to close. */
  readonly directory: number
  readonly existing: number | undefined
  /** Never `.` or `..`. */
  readonly name: Buffer
}

/**
 * The place of a file that a flag names, absolute or relative to the current directory.
 *
 * @throws UsageError where there is no such directory, where the name is one, and where a link is in the way
 */
export function openNamedFile(flag: string, path: Buffer): NamedFile {
  const whole = absolute(path, textOf(AT_FDCWD, '/proc/self/cwd'))
  const name = whole.subarray(whole.lastIndexOf(SLASH) + 1)
  if (['', '.', '..'].includes(name.toString('latin1')))
    throw new UsageError(`cannot use --${flag} ${display(path)}: it is a directory`)
  return naming(flag, path, () => {
    const directory = openDirectoryOf(path, whole.subarray(0, whole.length - name.length))
    try {
      return {directory, existing: openIfThere(whole), name}
    } catch (error) {
      closeQuietly(directory)
      throw error
    }
  })
}

function openDirectoryOf(path: Buffer, directory: Buffer): number {
  try {
    return openHostPath(directory)
  } catch (error) {
    if (!isSystemError(error, ERRNO.ENOENT)) throw error
    throw new UsageError(`cannot write ${display(path)}: its directory is not there`, {
      hints: [`make it first: mkdir -p ${display(directory)}`],
    })
  }
}

/** For node:fs: the file `name` in the directory that `directory` is a descriptor of, or that descriptor's own file. */
export function pathOf(descriptor: number, name?: Buffer): Buffer {
  const own = Buffer.from(`/proc/self/fd/${descriptor}`)
  return name === undefined ? own : join(own, name)
}

function openIfThere(path: Buffer): number | undefined {
  try {
    return openHostPath(path)
  } catch (error) {
    if (isSystemError(error, ERRNO.ENOENT)) return undefined
    throw error
  }
}

function naming<T>(flag: string, path: Buffer, action: () => T): T {
  try {
    return action()
  } catch (error) {
    if (error instanceof LinkInTheWay) {
      throw new UsageError(`cannot use --${flag} ${display(path)}: ${error.message}`, {
        hints: [`name the place that it leads to, if you trust it: readlink -f ${display(error.link)}`],
      })
    }
    if (!(error instanceof SystemError)) throw error
    const cause = error.errno === ERRNO.ENOENT ? 'there is nothing of that name' : causeOf(error)
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
