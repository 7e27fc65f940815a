// The arguments of fsconfig(2) and its relatives: what cannot be read is a value too, for most calls are the kernel's own.

import {SystemError, isSystemError} from '../../../../ffi/errors.js'
import {PAGE_BYTES, PATH_MAX} from '../../../../kernel/constants.js'
import {ERRNO, errnoName} from '../../../../kernel/errno.js'
import {
  FSCONFIG_COMMANDS,
  FSCONFIG_SET_PATH,
  FSCONFIG_SET_PATH_EMPTY,
  FSCONFIG_SET_STRING,
} from '../../../../kernel/names/mount-api.js'
import {jsonBytes, quote} from '../../../caller/argument-kinds.js'
import {isSecretName, maskOptions} from '../../../caller/secrets.js'
import {members} from '../../../caller/struct-layout.js'
import {isUnread, orUnread} from '../../../caller/tolerant.js'
import type {Unread} from '../../../caller/tolerant.js'
import type {Argument, ArgumentIndex, CallerMemory, Json, Registers, StructLayout} from '../../../family.js'

/** strndup_user() in SYSCALL_DEFINE5(fsconfig): the NUL counts. */
const TEXT_MAX = 256
/** struct mount_attr of include/uapi/linux/mount.h. */
const MOUNT_ATTR_BYTES = 32
const SHOWN_BYTES_MAX = 256

export type ConfigText = Buffer | Unread | null
/** A number is an address that nobody reads here. */
export type ConfigValue = Buffer | Unread | number | null

export function configCommand(index: ArgumentIndex): Argument<number> {
  return {
    index,
    read: (registers) => registers.uint32(index),
    show: (value) => commandName(value) ?? `0x${value.toString(16)} /* FSCONFIG_??? */`,
    json: (value) => commandName(value) ?? value,
  }
}

function commandName(command: number): string | undefined {
  return Object.entries(FSCONFIG_COMMANDS).find(([, value]) => value === command)?.[0]
}

/** A string of at most `limit` bytes; a longer one is EINVAL. */
export function contextText(index: ArgumentIndex, limit: number = TEXT_MAX): Argument<ConfigText> {
  return {
    index,
    read: (registers, memory) => readText(registers.address(index), memory, limit),
    show: showValue,
    json: jsonValue,
  }
}

/** What the command says that it is: text, a path, or an address. */
export function configValue(index: ArgumentIndex, commandIndex: ArgumentIndex): Argument<ConfigValue> {
  return {
    index,
    read: (registers, memory) => readValue(registers, memory, index, registers.uint32(commandIndex)),
    show: (value, {key} = {}) => showValue(isSecret(value, key) ? MASKED : value),
    json: (value, {key} = {}) => jsonValue(isSecret(value, key) ? MASKED : value),
  }
}

const MASKED = Buffer.from('***')

/** The value of a key such as `password`. */
function isSecret(value: ConfigValue, key: unknown): boolean {
  return value instanceof Uint8Array && key instanceof Uint8Array && isSecretName(key)
}

function readValue(registers: Registers, memory: CallerMemory, index: ArgumentIndex, command: number): ConfigValue {
  const address = registers.address(index)
  switch (command) {
    case FSCONFIG_SET_STRING:
      return readText(address, memory, TEXT_MAX)
    case FSCONFIG_SET_PATH:
    case FSCONFIG_SET_PATH_EMPTY:
      return readText(address, memory, PATH_MAX)
    default:
      return address === 0 ? null : address
  }
}

function readText(address: number, memory: CallerMemory, limit: number): ConfigText {
  if (address === 0) return null
  return orUnread(() => {
    try {
      return memory.string(address, limit)
    } catch (error) {
      throw isSystemError(error, ERRNO.ENAMETOOLONG) ? new SystemError('fsconfig', ERRNO.EINVAL) : error
    }
  })
}

function showValue(value: ConfigValue): string {
  if (value === null) return 'NULL'
  if (typeof value === 'number') return `0x${value.toString(16)}`
  return isUnread(value) ? `/* ${errnoName(value.errno)} */` : quote(maskOptions(value), SHOWN_BYTES_MAX)
}

function jsonValue(value: ConfigValue): Json {
  if (value === null || isUnread(value)) return null
  return typeof value === 'number' ? (Number.isNaN(value) ? null : value) : jsonBytes(maskOptions(value))
}

/** struct mount_attr: what mount_setattr(2) is to set and to clear. */
export interface AttributeChange {
  readonly set: number
  readonly clear: number
  /** MS_PRIVATE and its like, or 0. */
  readonly propagation: number
}

/** linux/mount.h */
const MOUNT_ATTR: StructLayout = {
  bytes: MOUNT_ATTR_BYTES,
  members: members('u64', 'attr_set attr_clr propagation userns_fd', 0, 8),
}

export function attributeChange(index: ArgumentIndex, sizeIndex: ArgumentIndex): Argument<AttributeChange | Unread> {
  return {
    index,
    read: (registers, memory) =>
      orUnread(() => readChange(memory, registers.address(index), registers.address(sizeIndex))),
    show: (value) =>
      isUnread(value)
        ? `/* ${errnoName(value.errno)} */`
        : `{attr_set=0x${value.set.toString(16)}, attr_clr=0x${value.clear.toString(16)}}`,
    json: (value) => (isUnread(value) ? null : {attr_set: value.set, attr_clr: value.clear}),
    layout: () => MOUNT_ATTR,
  }
}

/** By the rules of copy_struct_from_user(). */
function readChange(memory: CallerMemory, address: number, length: number): AttributeChange {
  if (length < MOUNT_ATTR_BYTES) throw new SystemError('mount_setattr', ERRNO.EINVAL)
  if (!(length <= PAGE_BYTES)) throw new SystemError('mount_setattr', ERRNO.E2BIG)
  const bytes = memory.bytes(address, length)
  if (bytes.subarray(MOUNT_ATTR_BYTES).some((byte) => byte !== 0)) throw new SystemError('mount_setattr', ERRNO.E2BIG)
  const high = [4, 12, 20].some((offset) => bytes.readUInt32LE(offset) !== 0)
  if (high) throw new SystemError('mount_setattr', ERRNO.EINVAL)
  return {set: bytes.readUInt32LE(0), clear: bytes.readUInt32LE(8), propagation: bytes.readUInt32LE(16)}
}
