// The kinds of arguments that intercepted calls declare: how a register is read from the caller and shown.

import {AT_FDCWD, PATH_MAX} from '../../kernel/constants.js'
import {decodeDevice} from '../../kernel/device-numbers.js'
import {showMode} from '../../kernel/names/files.js'
import {showFlags} from '../../kernel/names/flag-table.js'
import type {FlagTable} from '../../kernel/names/flag-table.js'
import type {Argument, ArgumentIndex, Json} from '../family.js'
import {escapeBytes, jsonBytes, quote} from './escape.js'

export {escapeBytes, jsonBytes, quote}

/** Bytes of a buffer that a log line shows. */
export const SHOWN_BYTES_MAX = 64

/** A descriptor that paths are relative to. */
export function dirFd(index: ArgumentIndex): Argument<number> {
  return {
    index,
    read: (registers) => registers.int32(index),
    show: (value) => (value === AT_FDCWD ? 'AT_FDCWD' : String(value)),
    json: (value) => value,
  }
}

/** int: the low half of the register, signed. Descriptors and pids are of this kind. */
export function int32(index: ArgumentIndex): Argument<number> {
  return {index, read: (registers) => registers.int32(index), show: String, json: (value) => value}
}

/** unsigned int: the low half of the register. */
export function uint32(index: ArgumentIndex): Argument<number> {
  return {index, read: (registers) => registers.uint32(index), show: String, json: (value) => value}
}

/** size_t; NaN above 2^53, which every limit refuses. */
export function size(index: ArgumentIndex): Argument<number> {
  return {index, read: (registers) => registers.address(index), show: String, json: jsonNumber}
}

/** An address that the call itself reads or writes later; nothing is read here. NaN above 2^53. */
export function pointer(index: ArgumentIndex): Argument<number> {
  return {index, read: (registers) => registers.address(index), show: showAddress, json: (value) => showAddress(value)}
}

/** A pathname: at most PATH_MAX bytes with its NUL. A null pointer is EFAULT, as getname() has it. */
export function path(index: ArgumentIndex): Argument<Buffer> {
  return {
    index,
    read: (registers, memory) => memory.string(registers.address(index), PATH_MAX),
    show: (value) => quote(value),
    json: jsonBytes,
  }
}

/** A NUL-terminated string of at most `limit` bytes with its NUL. */
export function string(index: ArgumentIndex, limit: number): Argument<Buffer> {
  return {
    index,
    read: (registers, memory) => memory.string(registers.address(index), limit),
    show: (value) => quote(value),
    json: jsonBytes,
  }
}

/** A string that may be left out: null for a null pointer. */
export function optionalString(index: ArgumentIndex, limit: number): Argument<Buffer | null> {
  return {
    index,
    read(registers, memory) {
      const address = registers.address(index)
      return address === 0 ? null : memory.string(address, limit)
    },
    show: (value) => (value === null ? 'NULL' : quote(value)),
    json: (value) => (value === null ? null : jsonBytes(value)),
  }
}

/**
 * Memory whose length another register tells. More than `limit` bytes are not read and give null, for `decide` to
 * refuse with the call's own errno; a length of 0 reads nothing.
 */
export function buffer(index: ArgumentIndex, lengthIndex: ArgumentIndex, limit: number): Argument<Buffer | null> {
  return {
    index,
    read(registers, memory) {
      const length = registers.address(lengthIndex)
      if (!(length <= limit)) return null
      return memory.bytes(registers.address(index), length)
    },
    show: (value) => (value === null ? '...' : quote(value, SHOWN_BYTES_MAX)),
    json: (value) => (value === null ? null : jsonBytes(value)),
  }
}

/** umode_t: the kernel looks at 16 bits. */
export function mode(index: ArgumentIndex): Argument<number> {
  return {
    index,
    read: (registers) => registers.uint32(index) & 0xffff,
    show: showMode,
    json: (value) => value,
  }
}

/** A device number as mknod(2) takes it: unsigned int, new_decode_dev(). */
export function dev(index: ArgumentIndex): Argument<number> {
  return {
    index,
    read: (registers) => registers.uint32(index),
    show: (value) => {
      const {major, minor} = decodeDevice(value)
      return `makedev(${major}, ${minor})`
    },
    json: (value) => ({...decodeDevice(value)}),
  }
}

/** unsigned int of flags. Bits without a name are shown, never dropped. */
export function flags(index: ArgumentIndex, table: FlagTable): Argument<number> {
  return {
    index,
    read: (registers) => registers.uint32(index),
    show: (value) => showFlags(value, table),
    json: (value) => value,
  }
}

function showAddress(value: number): string {
  if (value === 0) return 'NULL'
  return Number.isNaN(value) ? 'invalid pointer' : `0x${value.toString(16)}`
}

function jsonNumber(value: number): Json {
  return Number.isNaN(value) ? null : value
}
