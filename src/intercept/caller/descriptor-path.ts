// The path of an open descriptor as its container's own root sees it, for logs and manifests: never to be opened.

import {isSystemError} from '../../ffi/errors.js'
import {readlinkat} from '../../ffi/libc.js'
import {AT_FDCWD, PATH_MAX} from '../../kernel/constants.js'
import {ERRNO} from '../../kernel/errno.js'

/** Empty where the path is longer than a page, at which d_path() gives up. */
export function pathOfDescriptor(fd: number): Buffer {
  const bytes = Buffer.allocUnsafe(PATH_MAX)
  try {
    return bytes.subarray(0, readlinkat(AT_FDCWD, `/proc/self/fd/${fd}`, bytes, PATH_MAX))
  } catch (error) {
    if (isSystemError(error, ERRNO.ENAMETOOLONG)) return Buffer.alloc(0)
    throw error
  }
}
