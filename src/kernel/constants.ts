// Numbers of the kernel's interface that several calls share. Those of one call, with their names, are in names/.

import {ABIS, NATIVE_ABI} from './abi.js'

// Types and permissions of files: include/uapi/linux/stat.h.
export const S_IFMT = 0o170_000
export const S_IFIFO = 0o010_000
export const S_IFCHR = 0o020_000
export const S_IFDIR = 0o040_000
export const S_IFBLK = 0o060_000
export const S_IFREG = 0o100_000
export const S_IFLNK = 0o120_000
export const S_IFSOCK = 0o140_000
export const S_ISUID = 0o4000
export const S_ISGID = 0o2000
export const S_ISVTX = 0o1000
export const S_IXGRP = 0o010
/** All that chmod(2) sets. */
export const PERMISSIONS = 0o7777

// Where paths start and how they are followed: include/uapi/linux/fcntl.h.
export const AT_FDCWD = -100
export const AT_SYMLINK_NOFOLLOW = 0x100
export const AT_REMOVEDIR = 0x200
export const AT_SYMLINK_FOLLOW = 0x400
export const AT_NO_AUTOMOUNT = 0x800
export const AT_EMPTY_PATH = 0x1000
export const AT_RECURSIVE = 0x8000

// openat2(2): include/uapi/linux/openat2.h.
export const RESOLVE_NO_XDEV = 0x01
export const RESOLVE_NO_MAGICLINKS = 0x02
export const RESOLVE_NO_SYMLINKS = 0x04
export const RESOLVE_BENEATH = 0x08
export const RESOLVE_IN_ROOT = 0x10

// open(2): include/uapi/asm-generic/fcntl.h. Those that differ between machines are those of this one.
export const O_ACCMODE = 3
export const O_RDONLY = 0
export const O_WRONLY = 1
export const O_RDWR = 2
export const O_CREAT = 0o100
export const O_EXCL = 0o200
export const O_NOCTTY = 0o400
export const O_TRUNC = 0o1000
export const O_APPEND = 0o2000
export const O_NONBLOCK = 0o4000
export const O_NOATIME = 0o1_000_000
export const O_CLOEXEC = 0o2_000_000
export const O_PATH = 0o10_000_000
export const {O_DIRECT, O_DIRECTORY, O_NOFOLLOW} = ABIS[NATIVE_ABI].openFlags
export const O_TMPFILE = 0o20_000_000 | O_DIRECTORY

// fcntl(2)
export const F_GETFD = 1
export const F_SETFD = 2
export const F_GETFL = 3
export const F_SETFL = 4
export const F_DUPFD_CLOEXEC = 1030
export const FD_CLOEXEC = 1

// statfs(2) and statx(2)
export const ST_RDONLY = 0x1
export const ST_NODEV = 0x4
export const ST_NOEXEC = 0x8
/** Linux 5.10: symbolic links on the mount are not followed. */
export const ST_NOSYMFOLLOW = 0x2000
export const STATX_ATTR_MOUNT_ROOT = 0x2000
export const PROC_SUPER_MAGIC = 0x9fa0

// poll(2)
export const POLLIN = 0x01
export const POLLOUT = 0x04
export const POLLERR = 0x08
export const POLLHUP = 0x10
export const POLLNVAL = 0x20

// clone(2)
export const CLONE_FS = 0x0000_0200
export const CLONE_NEWNS = 0x0002_0000
export const CLONE_NEWUSER = 0x1000_0000
export const CLONE_NEWPID = 0x2000_0000
export const CLONE_NEWNET = 0x4000_0000

export const EFD_CLOEXEC = O_CLOEXEC
export const EFD_NONBLOCK = O_NONBLOCK
/** pidfd_open(2), Linux 6.9: of one thread. */
export const PIDFD_THREAD = O_EXCL
export const MSG_NOSIGNAL = 0x4000
export const SIGKILL = 9

// Bytes that paths, mount options and files of /proc are made of.
export const SLASH = 0x2f
export const DOT = 0x2e
export const ZERO = 0x30
export const COMMA = 0x2c
export const BACKSLASH = 0x5c
export const NEWLINE = 0x0a

// include/uapi/linux/limits.h
/** With the NUL. */
export const PATH_MAX = 4096
/** Without the NUL. A longer name is ERANGE, and the kernel's to refuse. */
export const XATTR_NAME_MAX = 255
export const XATTR_SIZE_MAX = 65_536
/** More symbolic links in one lookup are ELOOP: MAXSYMLINKS of include/linux/namei.h. */
export const LINKS_MAX = 40
export const XATTR_LIST_MAX = 65_536
/** The smallest page of any machine, which bounds what several calls copy. */
export const PAGE_BYTES = 4096
/** What the kernel shows for an id without a mapping (/proc/sys/kernel/overflowuid), by convention also `nobody`. */
export const OVERFLOW_ID = 65_534
