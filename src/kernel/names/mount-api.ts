// The mount calls of Linux 5.2 and later: include/uapi/linux/mount.h.

import {O_CLOEXEC} from '../constants.js'
import type {FlagTable} from './flag-table.js'

export const FSOPEN_CLOEXEC = 1
export const FSOPEN_FLAGS: FlagTable = {prefix: 'FSOPEN_', names: {FSOPEN_CLOEXEC}}

export const FSMOUNT_CLOEXEC = 1
export const FSMOUNT_FLAGS: FlagTable = {prefix: 'FSMOUNT_', names: {FSMOUNT_CLOEXEC}}

export const FSPICK_CLOEXEC = 1
export const FSPICK_SYMLINK_NOFOLLOW = 2
export const FSPICK_NO_AUTOMOUNT = 4
export const FSPICK_EMPTY_PATH = 8
export const FSPICK_FLAGS: FlagTable = {
  prefix: 'FSPICK_',
  names: {FSPICK_CLOEXEC, FSPICK_SYMLINK_NOFOLLOW, FSPICK_NO_AUTOMOUNT, FSPICK_EMPTY_PATH},
}

export const FSCONFIG_SET_FLAG = 0
export const FSCONFIG_SET_STRING = 1
export const FSCONFIG_SET_BINARY = 2
export const FSCONFIG_SET_PATH = 3
export const FSCONFIG_SET_PATH_EMPTY = 4
export const FSCONFIG_SET_FD = 5
export const FSCONFIG_CMD_CREATE = 6
export const FSCONFIG_CMD_RECONFIGURE = 7
export const FSCONFIG_CMD_CREATE_EXCL = 8
export const FSCONFIG_COMMANDS = {
  FSCONFIG_SET_FLAG,
  FSCONFIG_SET_STRING,
  FSCONFIG_SET_BINARY,
  FSCONFIG_SET_PATH,
  FSCONFIG_SET_PATH_EMPTY,
  FSCONFIG_SET_FD,
  FSCONFIG_CMD_CREATE,
  FSCONFIG_CMD_RECONFIGURE,
  FSCONFIG_CMD_CREATE_EXCL,
}

export const OPEN_TREE_CLONE = 1
export const OPEN_TREE_CLOEXEC = O_CLOEXEC
export const OPEN_TREE_FLAGS: FlagTable = {prefix: 'OPEN_TREE_', names: {OPEN_TREE_CLONE, OPEN_TREE_CLOEXEC}}

export const MOUNT_ATTR_RDONLY = 0x1
export const MOUNT_ATTR_NOSUID = 0x2
export const MOUNT_ATTR_NODEV = 0x4
export const MOUNT_ATTR_NOEXEC = 0x8
export const MOUNT_ATTR_RELATIME = 0
export const MOUNT_ATTR_NOATIME = 0x10
export const MOUNT_ATTR_STRICTATIME = 0x20
export const MOUNT_ATTR__ATIME = 0x70
export const MOUNT_ATTR_NODIRATIME = 0x80
export const MOUNT_ATTR_IDMAP = 0x10_0000
export const MOUNT_ATTR_NOSYMFOLLOW = 0x20_0000
export const MOUNT_ATTRIBUTES: FlagTable = {
  prefix: 'MOUNT_ATTR_',
  names: {
    MOUNT_ATTR_RDONLY,
    MOUNT_ATTR_NOSUID,
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOATIME,
    MOUNT_ATTR_STRICTATIME,
    MOUNT_ATTR_NODIRATIME,
    MOUNT_ATTR_IDMAP,
    MOUNT_ATTR_NOSYMFOLLOW,
  },
}

export const MOVE_MOUNT_F_SYMLINKS = 0x1
export const MOVE_MOUNT_F_AUTOMOUNTS = 0x2
export const MOVE_MOUNT_F_EMPTY_PATH = 0x4
export const MOVE_MOUNT_T_SYMLINKS = 0x10
export const MOVE_MOUNT_T_AUTOMOUNTS = 0x20
export const MOVE_MOUNT_T_EMPTY_PATH = 0x40
export const MOVE_MOUNT_SET_GROUP = 0x100
export const MOVE_MOUNT_BENEATH = 0x200
export const MOVE_MOUNT_FLAGS: FlagTable = {
  prefix: 'MOVE_MOUNT_',
  names: {
    MOVE_MOUNT_F_SYMLINKS,
    MOVE_MOUNT_F_AUTOMOUNTS,
    MOVE_MOUNT_F_EMPTY_PATH,
    MOVE_MOUNT_T_SYMLINKS,
    MOVE_MOUNT_T_AUTOMOUNTS,
    MOVE_MOUNT_T_EMPTY_PATH,
    MOVE_MOUNT_SET_GROUP,
    MOVE_MOUNT_BENEATH,
  },
}

/** More that strace writes. */
export const MOUNT_API_NAMES: Readonly<Record<string, number>> = {
  ...FSCONFIG_COMMANDS,
  ...{MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME},
}
