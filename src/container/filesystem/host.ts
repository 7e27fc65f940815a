// What planning the container's file system reads of the host: the small impure half of index.ts.

import {lstatSync, readFileSync, readdirSync, readlinkSync, type BigIntStats} from 'node:fs'

import {decodeDevice} from '../../kernel/device-numbers.js'
import type {Device} from '../../kernel/device-numbers.js'

export type FileType = 'block' | 'character' | 'directory' | 'file' | 'other' | 'symlink'

export interface FileFacts {
  readonly type: FileType
  /** Permission bits, without the type. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Device and inode, `DEV:INODE` as stat(2) has them: equal exactly for one and the same file. */
  readonly identity: string
  /** Of a device node alone. */
  readonly device?: Device
}

export interface MountPoint {
  readonly path: Buffer
  readonly type: string
  readonly idmapped: boolean
  /** Of the super block, as major:minor. */
  readonly device: string
}

export interface Host {
  /** Undefined where there is nothing, or nothing that the supervisor may look at. */
  lstat(path: Buffer): FileFacts | undefined
  readlink(path: Buffer): Buffer
  list(directory: Buffer): readonly Buffer[]
  mountPoints(): readonly MountPoint[]
}

export const thisHost: Host = {
  lstat(path) {
    try {
      return factsOf(lstatSync(path, {throwIfNoEntry: true, bigint: true}))
    } catch {
      return undefined
    }
  },
  readlink: (path) => readlinkSync(path, {encoding: 'buffer'}),
  list: (directory) => readdirSync(directory, {encoding: 'buffer'}),
  mountPoints: () => parseMountInfo(readFileSync('/proc/self/mountinfo')),
}

/** Fields of proc_pid_mountinfo(5): 3 device, 5 mount point, 6 options of the mount, then tags up to `-`, and the type. */
export function parseMountInfo(text: Buffer): readonly MountPoint[] {
  return text
    .toString('latin1')
    .split('\n')
    .flatMap((line) => {
      const words = line.split(' ')
      const separator = words.indexOf('-', 6)
      const [device, path, options, type] = [words[2], words[4], words[5], words[separator + 1]]
      if (separator < 0 || device === undefined || path === undefined) return []
      if (options === undefined || type === undefined) return []
      return [{path: unescapeOctal(path), type, idmapped: options.split(',').includes('idmapped'), device}]
    })
}

/** show_mountinfo writes blanks, tabs, line feeds and backslashes as \ooo (mangle in fs/proc_namespace.c). */
function unescapeOctal(text: string): Buffer {
  return Buffer.from(
    text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8))),
    'latin1',
  )
}

export function factsOf(stats: BigIntStats): FileFacts {
  const type: FileType = stats.isDirectory()
    ? 'directory'
    : stats.isSymbolicLink()
      ? 'symlink'
      : stats.isFile()
        ? 'file'
        : stats.isCharacterDevice()
          ? 'character'
          : stats.isBlockDevice()
            ? 'block'
            : 'other'
  const {mode, uid, gid, dev, ino, rdev} = stats
  const isDevice = type === 'block' || type === 'character'
  return {
    type,
    mode: Number(mode) & 0o7777,
    uid: Number(uid),
    gid: Number(gid),
    identity: `${dev}:${ino}`,
    ...(isDevice && {device: {type: type === 'block' ? 'b' : 'c', ...decodeDevice(Number(rdev))}}),
  }
}
