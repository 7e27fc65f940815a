// Access lists as their attributes hold them: include/uapi/linux/posix_acl_xattr.h. A version, then entries.

export const ACL_VERSION = 2
/** The version. */
export const ACL_HEADER_BYTES = 4
/** 16 bits of tag, 16 of permissions, 32 of id. */
export const ACL_ENTRY_BYTES = 8
export const ACL_USER_OBJ = 1
export const ACL_USER = 2
export const ACL_GROUP_OBJ = 4
export const ACL_GROUP = 8
export const ACL_MASK = 16
export const ACL_OTHER = 32
