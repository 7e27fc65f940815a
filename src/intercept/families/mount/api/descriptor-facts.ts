// What /proc tells of a caller's descriptor.

import {SystemError} from '../../../../ffi/errors.js'
import {closeQuietly, openat, read} from '../../../../ffi/libc.js'
import {AT_FDCWD, O_CLOEXEC, O_RDONLY} from '../../../../kernel/constants.js'

const FDINFO_MAX = 4096

/** open(2) flags, O_CLOEXEC among them; 0 where they can't be read. */
export function descriptorFlags(tid: number, fd: number): number {
  const text = readProc(`/proc/${tid}/fdinfo/${fd}`)
  const digits = text === undefined ? undefined : /^flags:\s*([0-7]+)$/m.exec(text)?.[1]
  return digits === undefined ? 0 : parseInt(digits, 8)
}

function readProc(path: string): string | undefined {
  try {
    const fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0)
    try {
      const bytes = Buffer.alloc(FDINFO_MAX)
      return bytes.toString('latin1', 0, read(fd, bytes, FDINFO_MAX))
    } finally {
      closeQuietly(fd)
    }
  } catch (error) {
    if (error instanceof SystemError) return undefined
    throw error
  }
}
