// setxattr(2): include/uapi/linux/xattr.h.

import type {FlagTable} from './flag-table.js'

export const XATTR_CREATE = 1
export const XATTR_REPLACE = 2
export const XATTR_FLAGS: FlagTable = {prefix: 'XATTR_', names: {XATTR_CREATE, XATTR_REPLACE}}
