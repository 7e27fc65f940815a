// What a file system would open beside its source because the super block says so: read before the kernel reads it.
//
// | type | named in the super block | opened by the kernel |
// | --- | --- | --- |
// | ext2, ext3, ext4 | device of the journal (s_journal_dev), and options (s_mount_opts) | by its number |
// | jfs | device of the log (s_logdev) | by its number |
// | reiserfs (before 6.13) | device of the journal (jp_journal_dev) | by its number |
// | f2fs | paths of up to seven more devices (devs[]) | by path |
// | btrfs | how many devices there are (num_devices); they are found by the id of the file system | by path |
// | xfs | that the log or the realtime part lies elsewhere; only options name it, which are refused | never |
// | erofs | tags of more devices; only options name them, which are refused | never |
//
// Paths lead nowhere where mounts for a container are made (private-mount-namespace.ts). All others have one device.

import {dangerOf, parseOptions} from '../options.js'

/** Bytes of the source at an offset; fewer where it ends. */
export type ReadSource = (offset: number, length: number) => Buffer

/** Whether there is anything to look for in a super block of this type. */
export function mayLeadElsewhere(type: string): boolean {
  return CHECKS.has(type)
}

/** Why this file system cannot be mounted for a container: its super block leads to a device that nobody has checked. */
export function strangeDeviceOf(type: string, read: ReadSource): string | undefined {
  return CHECKS.get(type)?.((offset, length) => padded(read(offset, length), length))
}

const CHECKS: ReadonlyMap<string, (read: ReadSource) => string | undefined> = new Map([
  ['ext2', journalOfExt4],
  ['ext3', journalOfExt4],
  ['ext4', journalOfExt4],
  ['jfs', logOfJfs],
  ['reiserfs', journalOfReiserfs],
  ['f2fs', devicesOfF2fs],
  ['btrfs', devicesOfBtrfs],
])

/** struct ext4_super_block of fs/ext4/ext4.h. What ext4_load_and_init_journal() takes the journal's device from. */
const EXT4 = {
  at: 1024,
  length: 1024,
  magic: 0x38,
  compat: 0x5c,
  journalInode: 0xe0,
  journalDevice: 0xe4,
  options: 0x200,
}
const EXT4_MAGIC = 0xef53
const EXT4_HAS_JOURNAL = 4
const EXT4_OPTIONS_BYTES = 64

function journalOfExt4(read: ReadSource): string | undefined {
  const block = read(EXT4.at, EXT4.length)
  if (block.readUInt16LE(EXT4.magic) !== EXT4_MAGIC) return undefined
  const hasJournal = (block.readUInt32LE(EXT4.compat) & EXT4_HAS_JOURNAL) !== 0
  const isElsewhere = block.readUInt32LE(EXT4.journalInode) === 0 || block.readUInt32LE(EXT4.journalDevice) !== 0
  if (hasJournal && isElsewhere) return strange('its journal')
  // parse_apply_sb_mount_options(): they may name the device of a journal too.
  const options = upToNul(block.subarray(EXT4.options, EXT4.options + EXT4_OPTIONS_BYTES))
  const danger = dangerOf(parseOptions(options, 'ext4'))
  return danger === undefined ? undefined : `the super block has options of its own: ${danger}`
}

/** struct jfs_superblock of fs/jfs/jfs_superblock.h, and the copy that is read where the first cannot be. */
const JFS = {places: [0x8000, 0xf000], length: 128, magic: 'JFS1', flags: 36}
const JFS_INLINELOG = 0x800

function logOfJfs(read: ReadSource): string | undefined {
  const isElsewhere = JFS.places.some((place) => {
    const block = read(place, JFS.length)
    const isJfs = block.toString('latin1', 0, JFS.magic.length) === JFS.magic
    return isJfs && (block.readUInt32LE(JFS.flags) & JFS_INLINELOG) === 0
  })
  return isElsewhere ? strange('its log') : undefined
}

/** struct reiserfs_super_block_v1 of fs/reiserfs/reiserfs.h, in its new place or in the old one. */
const REISERFS = {places: [65_536, 8192], length: 64, magic: 52, journalDevice: 16}

function journalOfReiserfs(read: ReadSource): string | undefined {
  const isElsewhere = REISERFS.places.some((place) => {
    const block = read(place, REISERFS.length)
    const isReiserfs = /^ReIsEr(?:Fs|[23]Fs)/.test(block.toString('latin1', REISERFS.magic))
    return isReiserfs && block.readUInt32LE(REISERFS.journalDevice) !== 0
  })
  return isElsewhere ? strange('its journal') : undefined
}

/** struct f2fs_super_block of include/linux/f2fs_fs.h, and its copy in the next block. */
const F2FS = {places: [1024, 4096 + 1024], length: 3072, devices: 2201, deviceBytes: 68}
const F2FS_MAGIC = 0xf2f5_2010

function devicesOfF2fs(read: ReadSource): string | undefined {
  const hasMore = F2FS.places.some((place) => {
    const block = read(place, F2FS.length)
    return block.readUInt32LE(0) === F2FS_MAGIC && block[F2FS.devices + F2FS.deviceBytes] !== 0
  })
  return hasMore ? strange('a part of it') : undefined
}

/** struct btrfs_super_block of include/uapi/linux/btrfs_tree.h. */
const BTRFS = {at: 65_536, length: 256, magic: 0x40, name: '_BHRfS_M', devices: 0x88}

function devicesOfBtrfs(read: ReadSource): string | undefined {
  const block = read(BTRFS.at, BTRFS.length)
  if (block.toString('latin1', BTRFS.magic, BTRFS.magic + BTRFS.name.length) !== BTRFS.name) return undefined
  return block.readBigUInt64LE(BTRFS.devices) > 1n ? strange('a part of it') : undefined
}

function strange(what: string): string {
  return `${what} is on another device, which the super block names and nobody has checked`
}

function upToNul(bytes: Buffer): Buffer {
  const end = bytes.indexOf(0)
  return end === -1 ? bytes : bytes.subarray(0, end)
}

function padded(bytes: Buffer, length: number): Buffer {
  return bytes.length === length ? bytes : Buffer.concat([bytes], length)
}
