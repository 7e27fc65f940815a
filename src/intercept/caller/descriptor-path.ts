// The path of an open descriptor as its container's own root sees it, for logs and manifests: never to be opened.

import {ERRNO, isSystemError} from '../../ffi/errors.js'
import {AT_FDCWD, readlinkat} from '../../ffi/libc.js'

const PATH_MAX = 4096

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
