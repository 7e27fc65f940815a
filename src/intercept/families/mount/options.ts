// The data of mount(2): what its options are, which of them would reach beyond the container, and ids in them. Pure.

import type {IdMapExtent} from '../../container.js'
import {idOutside} from '../../caller/id-map.js'

/** One option: a word, or a key and what comes after its first `=`. */
export interface MountOption {
  readonly key: string
  /** Bytes as latin1, like the key. */
  readonly value?: string
}

const COMMA = 0x2c
const BACKSLASH = 0x5c

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
    if (DESCRIPTOR_KEYS.has(key)) return `the option ${key} names a descriptor, which would not be the caller's`
  }
  return undefined
}

const HAS_ERRORS_OPTION = new Set(['ext2', 'ext3', 'ext4'])

/**
 * An image may say itself that the host is to panic when it is damaged (s_errors of the super block). The option has
 * precedence, so that one is always given.
 */
export function withSafeErrors(data: Buffer | null, type: string): Buffer | null {
  if (!needsSafeErrors(type)) return data
  if (data !== null && hasOption(parseOptions(data, type), 'errors')) return data
  const safe = Buffer.from('errors=remount-ro')
  return data === null || data.length === 0 ? safe : Buffer.concat([data, Buffer.from(','), safe])
}

export function needsSafeErrors(type: string): boolean {
  return HAS_ERRORS_OPTION.has(type)
}

/**
 * Ids of a hugetlbfs are the caller's, as if it had mounted it: those that it names are translated, and those that it
 * does not name added. What is no id of the container stays for the kernel to judge.
 */
export function withHugetlbIds(
  data: Buffer | null,
  caller: {readonly uid: number; readonly gid: number},
  maps: IdMaps,
): Buffer {
  const options = data === null ? [] : parseOptions(data, 'hugetlbfs')
  const words = options.map(({key, value}) => {
    return value === undefined ? key : `${key}=${hugetlbId(key, value, maps)}`
  })
  if (!hasOption(options, 'uid')) words.push(`uid=${caller.uid}`)
  if (!hasOption(options, 'gid')) words.push(`gid=${caller.gid}`)
  return Buffer.from(words.join(','), 'latin1')
}

interface IdMaps {
  readonly uidMap: readonly IdMapExtent[]
  readonly gidMap: readonly IdMapExtent[]
}

/** The value of one option, translated where it is an id. */
export function hugetlbId(key: string, value: string, {uidMap, gidMap}: IdMaps): string {
  if (key !== 'uid' && key !== 'gid') return value
  return translate(value, key === 'uid' ? uidMap : gidMap)
}

function translate(value: string, map: readonly IdMapExtent[]): string {
  if (!/^\d{1,10}$/.test(value)) return value
  const outside = idOutside(map, Number(value))
  return outside === undefined ? value : String(outside)
}
