// Walks a directory tree of any depth with a bounded number of descriptors, whatever a container has made of it.

import {closeSync, constants, fstatSync, lstatSync, openSync, readdirSync} from 'node:fs'
import type {BigIntStats} from 'node:fs'

import {LaunchError} from '../../errors.js'
import {display} from '../../host/path-bytes.js'

const {O_DIRECTORY, O_NOFOLLOW, O_RDONLY} = constants
/** Directories that are open at once beside the top. */
const OPEN_MAX = 32
/** The paths of a chain of directories take space that grows with the square of its depth. */
const PATH_BYTES_MAX = 16_384
const SHOWN_BYTES_MAX = 200
const TOP = Buffer.from('.')

export interface WalkEntry {
  /** For system calls: one component below a descriptor, valid until the next entry is asked for. */
  readonly at: Buffer
  /** From the top on: `.`, or `./...`. */
  readonly path: Buffer
  readonly status: BigIntStats
}

interface Level {
  /** Undefined while deeper ones need descriptors. */
  fd: number | undefined
  readonly status: BigIntStats
  readonly names: readonly Buffer[]
  next: number
  /** Bytes of its path. */
  readonly length: number
}

/**
 * The directory of `root` and everything below: directories before what they hold, names in the order of their bytes.
 * A directory that `enters` is false for is shown and not entered. `root` stays open and the caller's.
 *
 * @throws LaunchError that names the path
 */
export function* walk(root: number, enters: (directory: WalkEntry) => boolean): Generator<WalkEntry> {
  const levels: Level[] = []
  let prefix = Buffer.alloc(0)
  const descend = (level: Level, path: Buffer): void => {
    const outer = levels.at(-OPEN_MAX)
    if (outer?.fd !== undefined && outer.fd !== root) {
      closeSync(outer.fd)
      outer.fd = undefined
    }
    levels.push(level)
    prefix = within(prefix, path)
  }
  try {
    const top = levelOf(root, TOP.length)
    yield {at: Buffer.from(`/proc/self/fd/${root}/.`), path: TOP, status: top.status}
    descend(top, TOP)
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      const name = level.names[level.next++]
      const path = prefix.subarray(0, level.length)
      if (name === undefined) {
        levels.pop()
        exporting(path, () => ascend(level, levels.at(-1)))
        continue
      }
      const entry = entryOf(level, path, name)
      yield entry
      if (!entry.status.isDirectory() || !enters(entry)) continue
      descend(
        exporting(entry.path, () => enter(entry)),
        entry.path,
      )
    }
  } finally {
    for (const {fd} of levels) if (fd !== undefined && fd !== root) closeSync(fd)
  }
}

/** Names the path in what goes wrong there. */
export function exporting<T>(path: Buffer, action: () => T): T {
  try {
    return action()
  } catch (cause) {
    if (cause instanceof LaunchError) throw cause
    throw new LaunchError(`cannot export ${shownPath(path)}`, {cause})
  }
}

function levelOf(fd: number, length: number): Level {
  const names = readdirSync(`/proc/self/fd/${fd}`, {encoding: 'buffer'}).sort((a, b) => Buffer.compare(a, b))
  return {fd, status: fstatSync(fd, {bigint: true}), names, next: 0, length}
}

function entryOf({fd}: Level, directory: Buffer, name: Buffer): WalkEntry {
  const path = Buffer.concat([directory, Buffer.from('/'), name])
  if (path.length > PATH_BYTES_MAX) {
    throw new LaunchError(`cannot export ${shownPath(path)}: its path is longer than ${PATH_BYTES_MAX} bytes`, {
      hints: ['let the command remove it, or name a tree without it: --export-root DIR'],
    })
  }
  const at = Buffer.concat([Buffer.from(`/proc/self/fd/${fd}/`), name])
  return {at, path, status: exporting(path, () => lstatSync(at, {bigint: true}))}
}

function enter({at, path, status}: WalkEntry): Level {
  const fd = openSync(at, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
  try {
    requireSame(fd, status)
    return levelOf(fd, path.length)
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

/** Closes what was left, from which the directory above is found again where it was closed meanwhile. */
function ascend({fd}: Level, above: Level | undefined): void {
  if (above === undefined || fd === undefined) return
  try {
    if (above.fd !== undefined) return
    above.fd = openSync(`/proc/self/fd/${fd}/..`, O_RDONLY | O_DIRECTORY)
    requireSame(above.fd, above.status)
  } finally {
    closeSync(fd)
  }
}

function requireSame(fd: number, {dev, ino}: BigIntStats): void {
  const found = fstatSync(fd, {bigint: true})
  if (found.dev !== dev || found.ino !== ino)
    throw new LaunchError('cannot export the tree: somebody is moving directories in it')
}

/** `path` at the beginning of a buffer that is large enough: `buffer`, or one of twice the size. */
function within(buffer: Buffer<ArrayBuffer>, path: Buffer): Buffer<ArrayBuffer> {
  const target = path.length <= buffer.length ? buffer : Buffer.alloc(2 * path.length)
  path.copy(target)
  return target
}

function shownPath(path: Buffer): string {
  if (path.length <= SHOWN_BYTES_MAX) return display(path)
  const half = SHOWN_BYTES_MAX / 2
  return `${display(path.subarray(0, half))}...${display(path.subarray(-half))}`
}
