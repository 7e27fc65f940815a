// The string arguments of mount(2), read as the kernel reads them.

import {SystemError, isSystemError} from '../../../ffi/errors.js'
import {PAGE_BYTES, PATH_MAX} from '../../../kernel/constants.js'
import {ERRNO} from '../../../kernel/errno.js'
import {LOOP_REQUESTS} from '../../../kernel/names/loop.js'
import {jsonBytes, quote} from '../../caller/argument-kinds.js'
import {maskOptions} from '../../caller/secrets.js'
import type {Argument, ArgumentIndex, CallerMemory} from '../../family.js'
import {DATA_MAX} from './options.js'

const SHOWN_BYTES_MAX = 512

/** A string that may be left out; a longer one is EINVAL (strndup_user() in mm/util.c). */
export function mountString(index: ArgumentIndex): Argument<Buffer | null> {
  return {
    index,
    read(registers, memory) {
      const address = registers.address(index)
      if (address === 0) return null
      try {
        return memory.string(address, PATH_MAX)
      } catch (error) {
        throw isSystemError(error, ERRNO.ENAMETOOLONG) ? new SystemError('mount', ERRNO.EINVAL) : error
      }
    },
    show: (value) => (value === null ? 'NULL' : quote(maskOptions(value))),
    json: (value) => (value === null ? null : jsonBytes(maskOptions(value))),
  }
}

/** What the file system gets: to the first NUL, to the end of a page, or to where memory ends. */
export function mountData(index: ArgumentIndex): Argument<Buffer | null> {
  return {
    index,
    read(registers, memory) {
      const address = registers.address(index)
      return address === 0 ? null : readData(memory, address)
    },
    show: (value) => (value === null ? 'NULL' : quote(maskOptions(value), SHOWN_BYTES_MAX)),
    json: (value) => (value === null ? null : jsonBytes(maskOptions(value))),
  }
}

function readData(memory: CallerMemory, address: number): Buffer {
  try {
    return memory.string(address, DATA_MAX + 1)
  } catch (error) {
    if (isSystemError(error, ERRNO.ENAMETOOLONG)) return memory.bytes(address, DATA_MAX)
    if (!isSystemError(error, ERRNO.EFAULT)) throw error
    // Memory that ends before the string does: the rest counts as zeros.
    const here = PAGE_BYTES - (address % PAGE_BYTES)
    return memory.bytes(address, Math.min(here, DATA_MAX))
  }
}

/** The request of an ioctl(2) on a loop device. */
export function loopRequest(index: ArgumentIndex): Argument<number> {
  const names = new Map(Object.entries(LOOP_REQUESTS).map(([name, request]) => [request, name]))
  const show = (value: number): string => names.get(value) ?? `0x${value.toString(16)}`
  return {index, read: (registers) => registers.uint32(index), show, json: show}
}
