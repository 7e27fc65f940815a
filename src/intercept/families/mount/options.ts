// The data of mount(2): what its options are, which of them would reach beyond the container, and ids in them. Pure.

import {BACKSLASH, COMMA} from '../../../kernel/constants.js'
import {idOutside} from '../../caller/id-map.js'
import type {IdMapExtent} from '../../container.js'

/** One option: a word, or a key and what comes after its first `=`. */
export interface MountOption {
  readonly key: string
  /** Bytes as latin1, like the key. */
  readonly value?: string
}

/**
 * As generic_parse_monolithic() of fs/fs_context.c splits them; for overlay a backslash keeps the comma after it
 * (ovl_next_opt() in fs/overlayfs/params.c), and stays there for the file system to take away.
 */
export function parseOptions(data: Buffer, type: string): readonly MountOption[] {
  return splitOptions(data, type === 'overlay').flatMap((word) => {
    const equals = word.indexOf('=')
    if (word === '' || equals === 0) return []
    return equals === -1 ? [{key: word}] : [{key: word.slice(0, equals), value: word.slice(equals + 1)}]
  })
}

function splitOptions(data: Buffer, escapes: boolean): string[] {
  const words: string[] = []
  let start = 0
  for (let index = 0; index < data.length; index++) {
    if (escapes && data[index] === BACKSLASH) index++
    else if (data[index] === COMMA) {
      words.push(data.toString('latin1', start, index))
      start = index + 1
    }
  }
  words.push(data.toString('latin1', start))
  return words
}

export function hasOption(options: readonly MountOption[], key: string): boolean {
  return options.some((option) => option.key === key)
}

/** ext4(5) journal_dev and journal_path, logdev and rtdev of xfs(5), device of btrfs(5): a second device, unchecked. */
const DEVICE_KEYS = new Set(['device', 'journal_dev', 'journal_path', 'jdev', 'logdev', 'rtdev'])

/** 9p, and FUSE on a device: a number would be that of a descriptor of the supervisor. */
const DESCRIPTOR_KEYS = new Set(['fd', 'rfdno', 'wfdno'])

/** Why these options can't be passed on: they would end the host, or open a device that nobody has looked at. */
export function dangerOf(options: readonly MountOption[]): string | undefined {
  for (const {key, value} of options) {
    if (value === 'panic' || (key === 'fatal_errors' && value !== undefined))
      return `${key}=${value} would stop the host when the file system is damaged`
    if (DEVICE_KEYS.has(key)) return `the option ${key} names one more device, which nobody has checked`
    // ext4(5): the one at the usual place is the one that was looked at (super-block.ts).
    if (key === 'sb') return 'the option sb names another super block, which nobody has checked'
    if (DESCRIPTOR_KEYS.has(key)) return `the option ${key} names a descriptor, which would not be the caller's`
  }
  return undefined
}

const HAS_ERRORS_OPTION = new Set(['ext2', 'ext3', 'ext4'])

/**
 * What a file system is told before anything that the caller says, which may override it with options of its own. An
 * image of ext4 may say itself that the host is to panic when it is damaged (s_errors of the super block); an option has
 * precedence. A hugetlbfs belongs to who makes it (hugetlbfs_init_fs_context()). `caller`: ids of the host.
 */
export function ownOptions(
  type: string,
  caller: {readonly uid: number; readonly gid: number},
): readonly (MountOption & {readonly value: string})[] {
  if (HAS_ERRORS_OPTION.has(type)) return [{key: 'errors', value: 'remount-ro'}]
  if (type !== 'hugetlbfs') return []
  return [
    {key: 'uid', value: String(caller.uid)},
    {key: 'gid', value: String(caller.gid)},
  ]
}

/** copy_mount_options() in fs/namespace.c takes one page, ends it with a NUL and drops what comes after that. */
export const DATA_MAX = 4095

/**
 * The data of mount(2) with our own options in front, where nothing of the caller's can cut them off.
 * @returns undefined where an id is none of the container's.
 */
export function withOwnOptions(
  data: Buffer | null,
  type: string,
  caller: {readonly uid: number; readonly gid: number},
  maps: IdMaps,
): Buffer | null | undefined {
  const own = ownOptions(type, caller)
  const given = type === 'hugetlbfs' && data !== null ? withHugetlbIds(data, maps) : data
  if (given === undefined || own.length === 0) return given
  const words = Buffer.from(own.map(({key, value}) => `${key}=${value}`).join(','))
  return given === null || given.length === 0 ? words : Buffer.concat([words, Buffer.from(','), given])
}

function withHugetlbIds(data: Buffer, maps: IdMaps): Buffer | undefined {
  const words: string[] = []
  for (const {key, value} of parseOptions(data, 'hugetlbfs')) {
    const text = value === undefined ? undefined : hugetlbValue(key, value, maps)
    if (value !== undefined && text === undefined) return undefined
    words.push(text === undefined ? key : `${key}=${text}`)
  }
  return Buffer.from(words.join(','), 'latin1')
}

interface IdMaps {
  readonly uidMap: readonly IdMapExtent[]
  readonly gidMap: readonly IdMapExtent[]
}

/**
 * The value of one option of a hugetlbfs: ids are the caller's, as if it had mounted it, and translated for the host.
 * @returns undefined where it is no id of the container.
 */
export function hugetlbValue(key: string, value: string, {uidMap, gidMap}: IdMaps): string | undefined {
  if (key !== 'uid' && key !== 'gid') return value
  const id = kernelNumber(value)
  const outside = id === undefined ? undefined : idOutside(key === 'uid' ? uidMap : gidMap, id)
  return outside === undefined ? undefined : String(outside)
}

/** kstrtouint() with base 0, as fs_param_is_u32() reads numbers: `0x` is hexadecimal and `0` octal. */
function kernelNumber(text: string): number | undefined {
  const [, hex, octal, decimal] = /^\+?(?:0x([\da-f]+)|(0[0-7]*)|([1-9]\d*))\n?$/i.exec(text) ?? []
  if (hex !== undefined) return Number.parseInt(hex, 16)
  if (octal !== undefined) return Number.parseInt(octal, 8)
  return decimal === undefined ? undefined : Number(decimal)
}
