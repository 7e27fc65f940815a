// Names of files' modes, and of the flags of calls that take a path.

import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_NO_AUTOMOUNT,
  AT_RECURSIVE,
  AT_REMOVEDIR,
  AT_SYMLINK_FOLLOW,
  AT_SYMLINK_NOFOLLOW,
  O_APPEND,
  O_CLOEXEC,
  O_CREAT,
  O_EXCL,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  PERMISSIONS,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
  S_ISGID,
  S_ISUID,
  S_ISVTX,
} from '../constants.js'
import {bits, showNumber} from './flag-table.js'
import type {FlagTable} from './flag-table.js'

const FILE_TYPES = {S_IFIFO, S_IFCHR, S_IFDIR, S_IFBLK, S_IFREG, S_IFLNK, S_IFSOCK}

/** `S_IFCHR|0666`. */
export function showMode(value: number): string {
  const type = value & S_IFMT
  const permissions = `0${(value & PERMISSIONS).toString(8).padStart(3, '0')}`
  if (type === 0) return permissions
  const isNamed = Object.values(FILE_TYPES).includes(type)
  return `${isNamed ? showNumber(type, FILE_TYPES) : `0${type.toString(8)}`}|${permissions}`
}

/** Of the calls whose names end in `at`, and of mount_setattr(2). */
export const AT_FLAGS: FlagTable = {
  prefix: 'AT_',
  names: {AT_SYMLINK_NOFOLLOW, AT_REMOVEDIR, AT_SYMLINK_FOLLOW, AT_NO_AUTOMOUNT, AT_EMPTY_PATH, AT_RECURSIVE},
}

export const RENAME_NOREPLACE = 1
export const RENAME_EXCHANGE = 2
export const RENAME_FLAGS: FlagTable = {
  prefix: 'RENAME_',
  names: {RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT: 4},
}

/** What else strace writes, in the calls of these and for descriptors by their flags. The same on every machine. */
export const FILE_NAMES: Readonly<Record<string, number>> = {
  ...FILE_TYPES,
  ...{S_ISUID, S_ISGID, S_ISVTX, S_IRWXU: 0o700, S_IRWXG: 0o070, S_IRWXO: 0o007},
  ...bits(0, 'S_IXOTH S_IWOTH S_IROTH S_IXGRP S_IWGRP S_IRGRP S_IXUSR S_IWUSR S_IRUSR'),
  ...{AT_FDCWD, AT_EACCESS: 0x200},
  ...{O_RDONLY, O_WRONLY, O_RDWR, O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_NONBLOCK, O_CLOEXEC, O_PATH},
}
