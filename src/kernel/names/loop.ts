// Loop devices: include/uapi/linux/loop.h, and the requests of block devices that programs make to them (linux/fs.h).

export const LOOP_MAJOR = 7

export const LOOP_SET_FD = 0x4c00
export const LOOP_CLR_FD = 0x4c01
export const LOOP_SET_STATUS64 = 0x4c04
export const LOOP_GET_STATUS64 = 0x4c05
export const LOOP_SET_CAPACITY = 0x4c07
export const LOOP_SET_DIRECT_IO = 0x4c08
export const LOOP_SET_BLOCK_SIZE = 0x4c09
export const LOOP_CONFIGURE = 0x4c0a
export const LOOP_CTL_GET_FREE = 0x4c82
export const BLKFLSBUF = 0x1261
export const BLKGETSIZE64 = 0x8008_1272

export const LO_FLAGS_READ_ONLY = 1
export const LO_FLAGS_AUTOCLEAR = 4
export const LO_FLAGS_PARTSCAN = 8

/** struct loop_info64: where its members lie. */
export const LOOP_INFO = {device: 0, inode: 8, offset: 24, sizeLimit: 32, number: 40, flags: 52, fileName: 56} as const
export const LOOP_INFO_BYTES = 232
export const LOOP_NAME_BYTES = 64
/** struct loop_config: a descriptor and a block size, the struct loop_info64, and words that are reserved. */
export const LOOP_CONFIG = {info: 8, size: 304} as const

export const LOOP_REQUESTS: Readonly<Record<string, number>> = {
  LOOP_SET_FD,
  LOOP_CLR_FD,
  LOOP_SET_STATUS: 0x4c02,
  LOOP_GET_STATUS: 0x4c03,
  LOOP_SET_STATUS64,
  LOOP_GET_STATUS64,
  LOOP_CHANGE_FD: 0x4c06,
  LOOP_SET_CAPACITY,
  LOOP_SET_DIRECT_IO,
  LOOP_SET_BLOCK_SIZE,
  LOOP_CONFIGURE,
  LOOP_CTL_ADD: 0x4c80,
  LOOP_CTL_REMOVE: 0x4c81,
  LOOP_CTL_GET_FREE,
  BLKFLSBUF,
  BLKGETSIZE64,
}
