// mount(2) and umount2(2): include/uapi/linux/mount.h.

import type {FlagTable} from './flag-table.js'

export const MS_RDONLY = 1
export const MS_NOSUID = 2
export const MS_NODEV = 4
export const MS_NOEXEC = 8
export const MS_SYNCHRONOUS = 16
export const MS_REMOUNT = 32
export const MS_MANDLOCK = 64
export const MS_DIRSYNC = 128
export const MS_NOSYMFOLLOW = 256
export const MS_NOATIME = 1 << 10
export const MS_NODIRATIME = 1 << 11
export const MS_BIND = 1 << 12
export const MS_MOVE = 1 << 13
export const MS_REC = 1 << 14
export const MS_SILENT = 1 << 15
export const MS_UNBINDABLE = 1 << 17
export const MS_PRIVATE = 1 << 18
export const MS_SLAVE = 1 << 19
export const MS_SHARED = 1 << 20
export const MS_RELATIME = 1 << 21
export const MS_STRICTATIME = 1 << 24
export const MS_LAZYTIME = 1 << 25
/** Internal to the kernel: EINVAL in path_mount(). */
export const MS_NOUSER = 0x8000_0000
/** Old programs set it. */
export const MS_MGC_VAL = 0xc0ed_0000
export const MS_MGC_MSK = 0xffff_0000

export const MOUNT_FLAGS: FlagTable = {
  prefix: 'MS_',
  names: {
    MS_MGC_VAL,
    MS_RDONLY,
    MS_NOSUID,
    MS_NODEV,
    MS_NOEXEC,
    MS_SYNCHRONOUS,
    MS_REMOUNT,
    MS_MANDLOCK,
    MS_DIRSYNC,
    MS_NOSYMFOLLOW,
    MS_NOATIME,
    MS_NODIRATIME,
    MS_BIND,
    MS_MOVE,
    MS_REC,
    MS_SILENT,
    MS_POSIXACL: 1 << 16,
    MS_UNBINDABLE,
    MS_PRIVATE,
    MS_SLAVE,
    MS_SHARED,
    MS_RELATIME,
    MS_KERNMOUNT: 1 << 22,
    MS_I_VERSION: 1 << 23,
    MS_STRICTATIME,
    MS_LAZYTIME,
    MS_ACTIVE: 1 << 30,
    MS_NOUSER,
  },
}

export const MNT_FORCE = 1
export const MNT_DETACH = 2
export const UMOUNT_FLAGS: FlagTable = {
  prefix: 'MNT_',
  names: {MNT_FORCE, MNT_DETACH, MNT_EXPIRE: 4, UMOUNT_NOFOLLOW: 8},
}

/** More that strace writes. */
export const MOUNT_NAMES: Readonly<Record<string, number>> = {MS_VERBOSE: MS_SILENT}
