// Absolute paths as bytes: the kernel's names need not be UTF-8, so no string function touches them.

import {UsageError} from '../errors.js'
import {SLASH} from '../kernel/constants.js'

export const ROOT = Buffer.from('/')

/** The components, without empty ones; `.` and `..` are left in. */
export function components(path: Buffer): readonly Buffer[] {
  const parts: Buffer[] = []
  let start = 0
  for (let index = 0; index <= path.length; index++) {
    if (index < path.length && path[index] !== SLASH) continue
    if (index > start) parts.push(path.subarray(start, index))
    start = index + 1
  }
  return parts
}

export function isAbsolute(path: Buffer): boolean {
  return path[0] === SLASH
}

export function join(directory: Buffer, ...names: readonly Buffer[]): Buffer {
  return names.reduce<Buffer>(
    (path, name) => Buffer.concat(path.at(-1) === SLASH ? [path, name] : [path, ROOT, name]),
    directory,
  )
}

/** `path` itself where it is absolute, else below `directory`. */
export function absolute(path: Buffer, directory: Buffer): Buffer {
  return isAbsolute(path) ? path : join(directory, path)
}

/** Of a path in normal form; the parent of `/` is `/`. */
export function parent(path: Buffer): Buffer {
  const slash = path.lastIndexOf(SLASH)
  return slash <= 0 ? ROOT : path.subarray(0, slash)
}

/** The components of `path` below `directory`, both in normal form; undefined where it is not at or below it. */
export function below(path: Buffer, directory: Buffer): readonly Buffer[] | undefined {
  const [parts, prefix] = [components(path), components(directory)]
  return prefix.every((part, index) => parts[index]?.equals(part)) ? parts.slice(prefix.length) : undefined
}

/** For messages; control characters are made visible so that a path can't draw on the terminal. */
export function display(path: Buffer): string {
  return path
    .toString()
    .replace(/\p{Cc}/gu, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`)
}

/** Without `.`, `..` and empty components; links stay, they are the container's to follow. */
export function normal(flag: string, path: Buffer): Buffer {
  let result: Buffer = ROOT
  for (const part of components(path)) {
    const text = part.toString('latin1')
    if (text === '..') result = parent(result)
    else if (text !== '.') result = join(result, part)
  }
  if (result.equals(ROOT))
    throw new UsageError(`cannot use ${flag} with / in the container`, {hints: ['give the root with --rootfs']})
  return result
}
