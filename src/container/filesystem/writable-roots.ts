// Which directories of the host a container gets to write to without being asked by name. See SECURITY.md.

import type {FileFacts} from './host.js'
import {display, parent, ROOT} from '../../host/path-bytes.js'
import {isIn, isSystem} from '../../host/system-directories.js'

export interface GuardFacts {
  /** In normal form, without links. */
  readonly directory: Buffer
  readonly rootless: boolean
  /** Home directories by passwd(5) and the environment, as named there. */
  readonly homes: readonly Buffer[]
  /** Links followed; undefined where there is nothing. */
  readonly stat: (path: Buffer) => FileFacts | undefined
}

/** Undefined: it may be written to. Otherwise what it is, to be put after "cannot use DIR: ". */
export function refusal({directory, rootless, homes, stat}: GuardFacts): string | undefined {
  const is = (other: Buffer | string) => directory.equals(Buffer.from(other))
  if (isIn(directory, '/proc') || isIn(directory, '/sys')) return 'it belongs to the kernel'
  if (isIn(directory, '/dev') && !isIn(directory, '/dev/shm')) return 'it holds the devices of the host'
  const identity = stat(directory)?.identity
  const isSame = (other: Buffer | string) =>
    is(other) || (identity !== undefined && stat(Buffer.from(other))?.identity === identity)
  if (isSame(ROOT)) return 'it is the root of the host'
  // The rights of an ordinary user are all that a rootless container has there.
  if (rootless) return undefined
  if (is('/root') || is('/home') || homes.some((home) => !home.equals(ROOT) && isSame(home)))
    return is('/home') ? 'it holds the home directories' : 'it is a home directory'
  if (isSystem(directory)) return 'it is part of the system'
  return undefined
}

/** One line for a tree that is made writable with the ids of real root on disk. */
export function setuidWarning(directory: Buffer, stat: (path: Buffer) => FileFacts | undefined): string | undefined {
  for (let at = directory; ; at = parent(at)) {
    const facts = stat(at)
    if (facts === undefined || (facts.mode & 0o001) === 0) return undefined
    if (at.equals(ROOT)) break
  }
  return `other users can reach ${display(directory)}: a setuid file that the container makes there is real root's outside`
}

/** Home directories of passwd(5) text, of all users or of `uid`. */
export function homesOf(passwd: Buffer, uid?: number): readonly Buffer[] {
  return passwd
    .toString('latin1')
    .split('\n')
    .flatMap((line) => {
      const [, , owner, , , home] = line.split(':')
      const isWanted = uid === undefined || Number(owner) === uid
      return isWanted && home?.startsWith('/') === true ? [Buffer.from(home, 'latin1')] : []
    })
}
