// The flags of mount(2), and what the new mount calls take in their place. Pure.

import {
  MOUNT_ATTR_NOATIME,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NODIRATIME,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_NOSYMFOLLOW,
  MOUNT_ATTR_RDONLY,
  MOUNT_ATTR_STRICTATIME,
  MOUNT_ATTR__ATIME,
} from '../../../kernel/names/mount-api.js'
import {
  MS_BIND,
  MS_DIRSYNC,
  MS_LAZYTIME,
  MS_MANDLOCK,
  MS_MGC_MSK,
  MS_MGC_VAL,
  MS_MOVE,
  MS_NOATIME,
  MS_NODEV,
  MS_NODIRATIME,
  MS_NOEXEC,
  MS_NOSUID,
  MS_NOSYMFOLLOW,
  MS_PRIVATE,
  MS_RDONLY,
  MS_RELATIME,
  MS_SHARED,
  MS_SLAVE,
  MS_STRICTATIME,
  MS_SYNCHRONOUS,
  MS_UNBINDABLE,
} from '../../../kernel/names/mount.js'
import type {Comparison, Condition} from '../../family.js'

/** Calls that only change or copy what is mounted: they are not intercepted. */
const OTHER_OPERATIONS = MS_BIND | MS_MOVE | MS_UNBINDABLE | MS_PRIVATE | MS_SLAVE | MS_SHARED

/** Without the magic number of old programs, which path_mount() in fs/namespace.c drops with all flags above it. */
export function plainFlags(flags: number): number {
  return ((flags & MS_MGC_MSK) >>> 0 === MS_MGC_VAL ? flags & ~MS_MGC_MSK : flags) >>> 0
}

export function isOtherOperation(flags: number): boolean {
  return (flags & OTHER_OPERATIONS) !== 0
}

/** New mounts and remounts. The low 32 bits are all that the kernel looks at. */
export const MOUNT_CONDITION: Condition = (() => {
  const compare = (mask: number, value: number): Comparison => ({
    argument: 3,
    width: 32,
    mask: BigInt(mask >>> 0),
    operator: 'eq',
    value: BigInt(value >>> 0),
  })
  // With the magic number bits of propagation are set that mean nothing.
  return [[compare(OTHER_OPERATIONS, 0)], [compare(MS_MGC_MSK | MS_BIND | MS_MOVE, MS_MGC_VAL)]]
})()

/** Flags of the super block that fsconfig(2) takes as words (common_set_sb_flag in fs/fs_context.c). */
const WORDS: readonly (readonly [flag: number, set: string, clear: string])[] = [
  [MS_RDONLY, 'ro', 'rw'],
  [MS_SYNCHRONOUS, 'sync', 'async'],
  [MS_MANDLOCK, 'mand', 'nomand'],
  [MS_LAZYTIME, 'lazytime', 'nolazytime'],
]

/** For a new super block. MS_SILENT has no word, and nothing is printed for anybody to see. */
export function superBlockWords(flags: number): readonly string[] {
  const words = WORDS.filter(([flag]) => (flags & flag) !== 0).map(([, set]) => set)
  return (flags & MS_DIRSYNC) === 0 ? words : [...words, 'dirsync']
}

/** For a remount, which sets exactly these (MS_RMT_MASK in include/linux/fs.h). */
export function remountWords(flags: number): readonly string[] {
  return WORDS.map(([flag, set, clear]) => ((flags & flag) === 0 ? clear : set))
}

const ATTRIBUTES: readonly (readonly [flag: number, attribute: number])[] = [
  [MS_RDONLY, MOUNT_ATTR_RDONLY],
  [MS_NOSUID, MOUNT_ATTR_NOSUID],
  [MS_NODEV, MOUNT_ATTR_NODEV],
  [MS_NOEXEC, MOUNT_ATTR_NOEXEC],
  [MS_NODIRATIME, MOUNT_ATTR_NODIRATIME],
  [MS_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW],
]

/** MOUNT_ATTR_* of a new mount. STRICTATIME goes before NOATIME, as in path_mount(). */
export function mountAttributes(flags: number): number {
  const plain = ATTRIBUTES.reduce((sum, [flag, attribute]) => ((flags & flag) === 0 ? sum : sum | attribute), 0)
  return plain | atime(flags)
}

function atime(flags: number): number {
  if ((flags & MS_STRICTATIME) !== 0) return MOUNT_ATTR_STRICTATIME
  return (flags & MS_NOATIME) === 0 ? 0 : MOUNT_ATTR_NOATIME
}

/** What the container may change later: set on the mount after its other flags are locked. */
export const UNLOCKED_ATTRIBUTES = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOSYMFOLLOW

/** What every mount for a container has, for good. */
export const LOCKED_FLAGS = MS_NOSUID | MS_NODEV

/** What mount_setattr(2) is to set and clear for a remount; access times stay as they are where nothing is said of them. */
export function remountAttributes(flags: number): {readonly set: number; readonly clear: number} {
  const wanted = mountAttributes(flags)
  const plain = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOSYMFOLLOW
  const set = wanted & plain
  if ((flags & (MS_NOATIME | MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME)) === 0) return {set, clear: plain & ~set}
  return {
    set: set | (wanted & (MOUNT_ATTR__ATIME | MOUNT_ATTR_NODIRATIME)),
    clear: (plain & ~set) | MOUNT_ATTR__ATIME | (MOUNT_ATTR_NODIRATIME & ~wanted),
  }
}

/** As words for a FUSE program's -o, which has none for the rest (MNT_OPTS of libfuse). */
const FUSE_WORDS: readonly (readonly [flag: number, word: string])[] = [
  [MS_RDONLY, 'ro'],
  [MS_NOSUID, 'nosuid'],
  [MS_NODEV, 'nodev'],
  [MS_NOEXEC, 'noexec'],
  [MS_SYNCHRONOUS, 'sync'],
  [MS_DIRSYNC, 'dirsync'],
  [MS_NOATIME, 'noatime'],
]

export function fuseWords(flags: number): readonly string[] {
  return FUSE_WORDS.filter(([flag]) => (flags & flag) !== 0).map(([, word]) => word)
}
