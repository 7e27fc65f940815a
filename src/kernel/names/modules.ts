// finit_module(2): include/uapi/linux/module.h.

import type {FlagTable} from './flag-table.js'

export const MODULE_INIT_IGNORE_MODVERSIONS = 1
export const MODULE_INIT_IGNORE_VERMAGIC = 2
export const MODULE_INIT_COMPRESSED_FILE = 4
export const MODULE_FLAGS: FlagTable = {
  prefix: 'MODULE_INIT_',
  names: {MODULE_INIT_IGNORE_MODVERSIONS, MODULE_INIT_IGNORE_VERMAGIC, MODULE_INIT_COMPRESSED_FILE},
}
