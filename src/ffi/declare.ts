// Declares C functions: koffi checks no numbers, so every argument is checked here before it is passed.

import koffi from 'koffi'

import {nativeNumber} from '../kernel/calls/index.js'
import {AT_FDCWD, PATH_MAX} from '../kernel/constants.js'
import {SystemError} from './errors.js'

/**
 * How an argument is passed. `path` takes bytes or a string and appends the NUL; `buffer` takes memory of ours or null;
 * `address` takes a number or bigint that C takes as a pointer; `fd` takes AT_FDCWD too.
 */
export type ArgumentType = 'address' | 'buffer' | 'fd' | 'int' | 'long' | 'path' | 'size' | 'uint' | 'ulong'

interface ArgumentValues {
  readonly address: number | bigint
  readonly buffer: NodeJS.TypedArray | Buffer | null
  readonly fd: number
  readonly int: number
  readonly long: number
  readonly path: Uint8Array | string
  readonly size: number
  readonly uint: number
  readonly ulong: number | bigint
}

type ArgumentsOf<T extends readonly ArgumentType[]> = {-readonly [K in keyof T]: ArgumentValues[T[K]]}

const C_TYPES: Readonly<Record<ArgumentType, string>> = {
  address: 'uintptr_t',
  buffer: 'void *',
  fd: 'int',
  int: 'int',
  long: 'long',
  path: 'uintptr_t',
  size: 'size_t',
  uint: 'unsigned int',
  ulong: 'unsigned long',
}

const ULONG_MAX = 2n ** 64n - 1n

// The process itself: the same symbols under glibc and musl, without naming either.
const libc = koffi.load(null)

/** The function as it is: the result may be negative, and errno is then in `lastErrno()`. Arguments are checked. */
export function declareRaw<const T extends readonly ArgumentType[]>(
  symbol: string,
  types: T,
): (...values: ArgumentsOf<T>) => number {
  return declareChecked(symbol, 'long', types, Number)
}

/** The function, which throws SystemError where it returns -1. `name` is the kernel's name where that differs. */
export function declare<const T extends readonly ArgumentType[]>(
  symbol: string,
  types: T,
  name = symbol,
): (...values: ArgumentsOf<T>) => number {
  return declareChecked(symbol, 'int', types, (result) => {
    if (result === -1) throw new SystemError(name, koffi.errno())
    return result as number
  })
}

/** As `declare`, for a function that returns long or ssize_t. */
export function declareLong<const T extends readonly ArgumentType[]>(
  symbol: string,
  types: T,
  name = symbol,
): (...values: ArgumentsOf<T>) => number {
  return declareChecked(symbol, 'long', types, (result) => {
    if (result === -1) throw new SystemError(name, koffi.errno())
    return Number(result)
  })
}

/** A system call by its number, where the C library does not wrap it everywhere. Throws SystemError where it fails. */
export function declareCall<const T extends readonly ArgumentType[]>(
  name: string,
  types: T,
): (...values: ArgumentsOf<T>) => number {
  const finish = (result: bigint | number): number => {
    if (result === -1) throw new SystemError(name, koffi.errno())
    return Number(result)
  }
  return checked(name, types, finish, () => {
    const call = declareUnchecked('syscall', 'long', ['long', ...types])
    return call.bind(undefined, nativeNumber(name))
  })
}

/** A function whose result is an int: the upper half of the register is not defined, so it must not be read as long. */
export function declareInt<const T extends readonly ArgumentType[]>(
  symbol: string,
  types: T,
): (...values: ArgumentsOf<T>) => number {
  return declareChecked(symbol, 'int', types, (result) => result as number)
}

/** For the hottest calls, whose arguments src/ffi itself has made: nothing is checked. A path is an address. */
export function declareUnchecked(
  symbol: string,
  result: 'int' | 'long',
  types: readonly ArgumentType[],
): (...values: readonly unknown[]) => number {
  return libc.func(
    symbol,
    result,
    types.map((type) => C_TYPES[type]),
  ) as (...values: readonly unknown[]) => number
}

/** errno of this thread: meaningful right after a function that returned -1, and not after anything else ran. */
export function lastErrno(): number {
  return koffi.errno()
}

/** Where memory of ours lies, for structures that hold pointers. It stays there while the buffer is referred to. */
export function addressOf(buffer: NodeJS.TypedArray): bigint {
  return koffi.address(buffer)
}

/**
 * Memory of ours that is passed to C again and again: as a number it costs a third of what an array costs. C may use it
 * as long as this object is referred to.
 */
export class FixedMemory {
  readonly bytes: Buffer
  /** The same memory; the length is taken up to whole words. */
  readonly words: Uint32Array
  readonly address: number

  constructor(length: number) {
    const memory = new ArrayBuffer(Math.ceil(length / 4) * 4)
    this.bytes = Buffer.from(memory)
    this.words = new Uint32Array(memory)
    // User space ends far below 2^53 on every machine, where nobody asks for more.
    this.address = Number(koffi.address(this.words))
  }
}

/** NUL-terminated copies of paths, one after the other in the same memory: each is good until the next. */
export class PathCopy {
  #memory = new FixedMemory(PATH_MAX)

  /** A NUL inside would make C see another path than the one that was checked. */
  addressOf(path: Uint8Array | string): number {
    if (typeof path === 'string' && this.#copyPlainText(path)) return this.#memory.address
    const bytes = typeof path === 'string' ? Buffer.from(path, 'utf8') : path
    if (bytes.length >= this.#memory.bytes.length) this.#memory = new FixedMemory(bytes.length + 1)
    terminate(bytes, this.#memory.bytes)
    return this.#memory.address
  }

  /** False where a character is not ASCII, or is NUL, or the memory is too small: the long way then. */
  #copyPlainText(text: string): boolean {
    const {bytes} = this.#memory
    const {length} = text
    if (length >= bytes.length) return false
    for (let index = 0; index < length; index++) {
      const code = text.charCodeAt(index)
      if (code === 0 || code > 0x7f) return false
      bytes[index] = code
    }
    bytes[length] = 0
    return true
  }
}

/** NUL-terminated copy, for structures that hold pointers, and for arguments that may be null. */
export function cString(path: Uint8Array | string): Buffer {
  const bytes = typeof path === 'string' ? Buffer.from(path, 'utf8') : path
  const terminated = Buffer.alloc(bytes.length + 1)
  terminate(bytes, terminated)
  return terminated
}

function terminate(bytes: Uint8Array, to: Uint8Array): void {
  const {length} = bytes
  for (let index = 0; index < length; index++) {
    const byte = bytes[index]!
    if (byte === 0) throw new RangeError('a path holds a NUL byte')
    to[index] = byte
  }
  to[length] = 0
}

type Check = (value: unknown) => unknown

const MISSING: Check = () => {
  throw new RangeError('too many arguments')
}

function declareChecked<T extends readonly ArgumentType[]>(
  symbol: string,
  result: 'int' | 'long',
  types: T,
  finish: (result: bigint | number) => number,
): (...values: ArgumentsOf<T>) => number {
  return checked(symbol, types, finish, () => declareUnchecked(symbol, result, types))
}

/**
 * One form for each number of arguments: an array of them for each call would cost as much as the system call itself.
 * `finish` makes of C's result what is given back. koffi is asked for the function when it is first called: of all that
 * are declared, a run needs a third.
 */
function checked<T extends readonly ArgumentType[]>(
  symbol: string,
  types: T,
  finish: (result: bigint | number) => number,
  load: () => (...values: readonly unknown[]) => number,
): (...values: ArgumentsOf<T>) => number {
  let native = (...values: readonly unknown[]): number => {
    native = load()
    return native(...values)
  }
  const [a = MISSING, b = MISSING, c = MISSING, d = MISSING, e = MISSING, f = MISSING] = types.map((type, index) =>
    checkOf(symbol, type, index),
  )
  return formOf(types.length) as (...values: readonly unknown[]) => number

  function formOf(count: number): unknown {
    switch (count) {
      case 0:
        return () => finish(native())
      case 1:
        return (p: unknown) => finish(native(a(p)))
      case 2:
        return (p: unknown, q: unknown) => finish(native(a(p), b(q)))
      case 3:
        return (p: unknown, q: unknown, r: unknown) => finish(native(a(p), b(q), c(r)))
      case 4:
        return (p: unknown, q: unknown, r: unknown, s: unknown) => finish(native(a(p), b(q), c(r), d(s)))
      case 5:
        return (p: unknown, q: unknown, r: unknown, s: unknown, t: unknown) =>
          finish(native(a(p), b(q), c(r), d(s), e(t)))
      case 6:
        return (p: unknown, q: unknown, r: unknown, s: unknown, t: unknown, u: unknown) =>
          finish(native(a(p), b(q), c(r), d(s), e(t), f(u)))
      default:
        throw new RangeError(`${symbol}: too many arguments`)
    }
  }
}

/** By the position of the argument: a path is copied and used within one call. */
const copies = Array.from({length: 6}, () => new PathCopy())

/** Passes what is good on: numbers and memory as they are, a path as the address of its copy. */
function checkOf(symbol: string, type: ArgumentType, position: number): Check {
  const fail = (value: unknown): never => {
    throw new RangeError(`${symbol}: ${typeof value} ${String(value)} is no ${type}`)
  }
  switch (type) {
    case 'fd':
      return (value) => (isInt(value) && (value >= 0 || value === AT_FDCWD) ? value : fail(value))
    case 'int':
      return (value) => (isInt(value) ? value : fail(value))
    case 'uint':
      return (value) => (typeof value === 'number' && value >>> 0 === value ? value : fail(value))
    case 'long':
      return (value) => (Number.isSafeInteger(value) ? value : fail(value))
    case 'size':
      return (value) => (Number.isSafeInteger(value) && (value as number) >= 0 ? value : fail(value))
    case 'address':
    case 'ulong':
      return (value) => (isUnsignedLong(value) ? value : fail(value))
    case 'path': {
      const copy = copies[position]!
      return (value) => (typeof value === 'string' || value instanceof Uint8Array ? copy.addressOf(value) : fail(value))
    }
    case 'buffer':
      return (value) => (value === null || ArrayBuffer.isView(value) ? value : fail(value))
    default:
      return assertNever(type)
  }
}

function assertNever(type: never): never {
  throw new RangeError(`unknown argument type ${String(type)}`)
}

function isInt(value: unknown): value is number {
  return typeof value === 'number' && (value | 0) === value
}

function isUnsignedLong(value: unknown): boolean {
  return typeof value === 'bigint'
    ? value >= 0n && value <= ULONG_MAX
    : Number.isSafeInteger(value) && (value as number) >= 0
}
