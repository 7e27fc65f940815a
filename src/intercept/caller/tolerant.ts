// Arguments whose reading may fail without failing the call: for calls that mostly belong to the kernel alone.

import {isSystemError} from '../../ffi/errors.js'
import {errnoName} from '../../kernel/errno.js'
import type {Argument} from '../family.js'

/** The caller's memory could not be read; the errno that the kernel has for that. */
export interface Unread {
  readonly errno: number
}

export function isUnread(value: unknown): value is Unread {
  return typeof value === 'object' && value !== null && 'errno' in value
}

export function orUnread<T>(read: () => T): T | Unread {
  try {
    return read()
  } catch (error) {
    if (isSystemError(error)) return {errno: error.errno}
    throw error
  }
}

/** As `argument`, but what can't be read is a value too: the family leaves the call to the kernel, or fails it itself. */
export function tolerant<T>(argument: Argument<T>): Argument<T | Unread> {
  return {
    index: argument.index,
    read: (registers, memory, abi) => orUnread(() => argument.read(registers, memory, abi)),
    show: (value, others) => (isUnread(value) ? `/* ${errnoName(value.errno)} */` : argument.show(value, others)),
    json: (value, others) => (isUnread(value) ? null : argument.json(value, others)),
  }
}
