// Where configuration is looked for, and which files may be trusted. Nothing found here is ever executed.

import {closeSync, constants, fstatSync, openSync, readSync} from 'node:fs'
import {dirname, join} from 'node:path'

import {UsageError} from '../errors.js'
import {openNamedIfThere, pathOf} from '../host/open.js'
import {OVERFLOW_ID} from '../kernel/constants.js'

/** In a directory of a project, in the order in which they are tried. */
export const PROJECT_NAMES = [
  'package.json',
  '.interceptorrc',
  '.interceptorrc.json',
  '.interceptorrc.yaml',
  '.interceptorrc.yml',
  'interceptor.config.yaml',
  'interceptor.config.yml',
  'interceptor.config.json',
] as const

/** Where other programs have a configuration that is executed. Ours never is, and somebody may wait for it. */
export const PROGRAM_NAMES = ['.interceptorrc', 'interceptor.config'].flatMap((name) =>
  ['js', 'cjs', 'mjs', 'ts'].map((extension) => `${name}.${extension}`),
)

/** In $XDG_CONFIG_HOME/interceptor and /etc/interceptor. */
export const SYSTEM_NAMES = [
  'interceptor.yaml',
  'interceptor.yml',
  'interceptor.json',
  'config.yaml',
  'config.yml',
  'config.json',
  'config',
  ...PROJECT_NAMES.slice(1),
] as const

const MAX_BYTES = 1024 * 1024
const READING = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY

export interface OpenFile {
  readonly file: string
  /** Whoever opened it closes it. */
  readonly fd: number
  readonly uid: number
  readonly gid: number
  readonly mode: number
}

/** The directory itself and those above it. */
export function upward(directory: string): readonly string[] {
  const above = dirname(directory)
  return above === directory ? [directory] : [directory, ...upward(above)]
}

export function systemDirectories(environment: Readonly<Record<string, string | undefined>>): readonly string[] {
  const {XDG_CONFIG_HOME: configured, HOME: home} = environment
  const own =
    configured?.startsWith('/') === true ? configured : home?.startsWith('/') === true ? `${home}/.config` : ''
  return [...(own === '' ? [] : [join(own, 'interceptor')]), '/etc/interceptor']
}

/**
 * Opens a file if it is there. A link in a project is not followed: what it leads to was not written as configuration.
 * O_NONBLOCK: opening a FIFO must not wait for its other end. `at`: where it was found already.
 */
export function openIfThere(
  file: string,
  {follow, at = file}: {readonly follow: boolean; readonly at?: Buffer | string},
): OpenFile | undefined {
  let fd: number
  try {
    fd = openSync(at, follow ? READING : READING | constants.O_NOFOLLOW)
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    if (code === 'ELOOP')
      throw new UsageError(`cannot use the configuration ${file}: it is a symbolic link`, {
        hints: ['name it if it is to be used: --config FILE', 'or do without: --no-config'],
      })
    throw new UsageError(`cannot read the configuration ${file}`, {cause, hints: ['or do without: --no-config']})
  }
  const {uid, gid, mode} = fstatSync(fd)
  return {file, fd, uid, gid, mode}
}

/**
 * The same for the value of --config.
 *
 * @throws UsageError where a link that a container may have made is on the way, too
 */
export function openNamedConfiguration(file: string): OpenFile | undefined {
  const place = openNamedIfThere('config', Buffer.from(file))
  if (place === undefined) return undefined
  try {
    return openIfThere(file, {follow: true, at: pathOf(place)})
  } finally {
    closeSync(place)
  }
}

/** Why a file that was found, not named, must not be used; undefined where it may. */
export function distrust(
  {file, uid, gid, mode}: OpenFile,
  caller: {readonly uid: number; readonly gid: number},
): string | undefined {
  // In a user namespace root's files show as the overflow id; below /etc they can be nobody else's.
  const isRoots = uid === 0 || (uid === OVERFLOW_ID && caller.uid === 0 && file.startsWith('/etc/'))
  if (uid !== caller.uid && !isRoots) return `it belongs to user ${uid}`
  // With a group of one's own, as most distributions have it, umask 002 makes files writable to nobody else.
  if ((mode & 0o002) !== 0 || ((mode & 0o020) !== 0 && gid !== caller.gid)) return 'others can write to it'
  return undefined
}

export function readLimited({file, fd}: OpenFile): Buffer {
  const stats = fstatSync(fd)
  const hints = ['name a file in YAML or JSON: --config FILE', 'or do without: --no-config']
  if (!stats.isFile()) throw new UsageError(`cannot use the configuration ${file}: it is no regular file`, {hints})
  if (stats.size > MAX_BYTES)
    throw new UsageError(`cannot use the configuration ${file}: it has more than ${MAX_BYTES} bytes`, {hints})
  const bytes = Buffer.alloc(stats.size)
  let length = 0
  while (length < bytes.length) {
    const read = readSync(fd, bytes, length, bytes.length - length, length)
    if (read === 0) break
    length += read
  }
  return bytes.subarray(0, length)
}

export function closeFile({fd}: OpenFile): void {
  closeSync(fd)
}
