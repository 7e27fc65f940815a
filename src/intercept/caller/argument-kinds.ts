// The kinds of arguments that intercepted calls declare: how a register is read from the caller and shown.

import {escapeBytes, jsonBytes, quote} from './escape.js'
import type {Argument, ArgumentIndex, Json} from '../family.js'

export {escapeBytes, jsonBytes, quote}

const PATH_MAX = 4096
const AT_FDCWD = -100
/** Bytes of a buffer that a log line shows. */
const SHOWN_BYTES_MAX = 64

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

const FILE_TYPES: Readonly<Record<number, string>> = {
  0o010000: 'S_IFIFO',
  0o020000: 'S_IFCHR',
  0o040000: 'S_IFDIR',
  0o060000: 'S_IFBLK',
  0o100000: 'S_IFREG',
  0o120000: 'S_IFLNK',
  0o140000: 'S_IFSOCK',
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

/** `S_IFCHR|0666`. */
export function showMode(value: number): string {
  const type = value & 0o170000
  const permissions = `0${(value & 0o7777).toString(8).padStart(3, '0')}`
  return type === 0 ? permissions : `${FILE_TYPES[type] ?? `0${type.toString(8)}`}|${permissions}`
}

/** A device number as mknod(2) takes it: unsigned int, new_decode_dev(). */
export function dev(index: ArgumentIndex): Argument<number> {
  return {
    index,
    read: (registers) => registers.uint32(index),
    show: (value) => `makedev(${deviceMajor(value)}, ${deviceMinor(value)})`,
    json: (value) => ({major: deviceMajor(value), minor: deviceMinor(value)}),
  }
}

export function deviceMajor(value: number): number {
  return (value & 0xfff00) >>> 8
}

export function deviceMinor(value: number): number {
  return (value & 0xff) | ((value >>> 12) & 0xfff00)
}

export interface FlagTable {
  /** Shown for bits that have no name: `0x40 /* MS_??? *\/`. */
  readonly prefix: string
  /** Name -> value, in the order in which they are shown. A name for 0 is shown where nothing is set. */
  readonly names: Readonly<Record<string, number>>
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

export function showFlags(value: number, table: FlagTable): string {
  const shown: string[] = []
  let rest = value >>> 0
  for (const [name, bits] of Object.entries(table.names)) {
    const unsigned = bits >>> 0
    if (unsigned !== 0 && (rest & unsigned) >>> 0 === unsigned) {
      shown.push(name)
      rest = (rest & ~unsigned) >>> 0
    } else if (unsigned === 0 && value === 0) shown.push(name)
  }
  if (rest !== 0) shown.push(`0x${rest.toString(16)} /* ${table.prefix}??? */`)
  return shown.length === 0 ? '0' : shown.join('|')
}

function showAddress(value: number): string {
  if (value === 0) return 'NULL'
  return Number.isNaN(value) ? 'invalid pointer' : `0x${value.toString(16)}`
}

function jsonNumber(value: number): Json {
  return Number.isNaN(value) ? null : value
}
