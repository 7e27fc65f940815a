// Declares C functions: koffi checks no numbers, so every argument is checked here before it is passed.

import koffi from 'koffi'

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
  path: 'void *',
  size: 'size_t',
  uint: 'unsigned int',
  ulong: 'unsigned long',
}

const AT_FDCWD = -100
const ULONG_MAX = 2n ** 64n - 1n

// The process itself: the same symbols under glibc and musl, without naming either.
const libc = koffi.load(null)

/** The function as it is: the result may be negative, and errno is then in `lastErrno()`. Arguments are checked. */
export function declareRaw<const T extends readonly ArgumentType[]>(
  symbol: string,
  types: T,
): (...values: ArgumentsOf<T>) => number {
  const native = libc.func(
    symbol,
    'long',
    types.map((type) => C_TYPES[type]),
  ) as (...values: unknown[]) => number | bigint
  return (...values) => {
    for (let index = 0; index < types.length; index++) {
      const type = types[index]!
      // Checked numbers and buffers pass as they are; only paths change.
      ;(values as unknown[])[index] = checkArgument(symbol, type, values[index])
    }
    return Number(native(...values))
  }
}

/** The function, which throws SystemError where it returns -1. `name` is the kernel's name where that differs. */
export function declare<const T extends readonly ArgumentType[]>(
  symbol: string,
  types: T,
  name = symbol,
): (...values: ArgumentsOf<T>) => number {
  const raw = declareInt(symbol, types)
  return (...values) => {
    const result = raw(...values)
    if (result === -1) throw new SystemError(name, koffi.errno())
    return result
  }
}

/** As `declare`, for a function that returns long or ssize_t. */
export function declareLong<const T extends readonly ArgumentType[]>(
  symbol: string,
  types: T,
  name = symbol,
): (...values: ArgumentsOf<T>) => number {
  const raw = declareRaw(symbol, types)
  return (...values) => {
    const result = raw(...values)
    if (result === -1) throw new SystemError(name, koffi.errno())
    return result
  }
}

/** errno of this thread: meaningful right after a function that returned -1, and not after anything else ran. */
export function lastErrno(): number {
  return koffi.errno()
}

/** A function whose result is an int: the upper half of the register is not defined, so it must not be read as long. */
export function declareInt<const T extends readonly ArgumentType[]>(
  symbol: string,
  types: T,
): (...values: ArgumentsOf<T>) => number {
  const native = libc.func(
    symbol,
    'int',
    types.map((type) => C_TYPES[type]),
  ) as (...values: unknown[]) => number
  return (...values) => {
    for (let index = 0; index < types.length; index++) {
      ;(values as unknown[])[index] = checkArgument(symbol, types[index]!, values[index])
    }
    return native(...values)
  }
}

/** NUL-terminated copy. A NUL inside would make C see another path than the one that was checked. */
export function cString(path: Uint8Array | string): Buffer {
  const bytes = typeof path === 'string' ? Buffer.from(path, 'utf8') : path
  if (bytes.includes(0)) throw new RangeError('a path holds a NUL byte')
  const terminated = Buffer.alloc(bytes.length + 1)
  terminated.set(bytes)
  return terminated
}

function checkArgument(symbol: string, type: ArgumentType, value: unknown): unknown {
  switch (type) {
    case 'fd':
      if (
        typeof value === 'number' &&
        Number.isInteger(value) &&
        (value >= 0 || value === AT_FDCWD) &&
        value <= 0x7fffffff
      )
        return value
      break
    case 'int':
      if (typeof value === 'number' && (value | 0) === value) return value
      break
    case 'uint':
      if (typeof value === 'number' && value >>> 0 === value) return value
      break
    case 'long':
      if (Number.isSafeInteger(value)) return value
      break
    case 'size':
      if (Number.isSafeInteger(value) && (value as number) >= 0) return value
      break
    case 'address':
    case 'ulong':
      if (
        typeof value === 'bigint'
          ? value >= 0n && value <= ULONG_MAX
          : Number.isSafeInteger(value) && (value as number) >= 0
      )
        return value
      break
    case 'path':
      if (typeof value === 'string' || value instanceof Uint8Array) return cString(value)
      break
    case 'buffer':
      if (value === null || ArrayBuffer.isView(value)) return value
      break
    default:
      assertNever(type)
  }
  throw new RangeError(`${symbol}: ${typeof value} ${String(value)} is no ${type}`)
}

function assertNever(type: never): never {
  throw new RangeError(`unknown argument type ${String(type)}`)
}

/** For the hottest calls, whose arguments src/ffi itself has made: nothing is checked. */
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

/** Where memory of ours lies, for structures that hold pointers. It stays there while the buffer is referred to. */
export function addressOf(buffer: NodeJS.TypedArray): bigint {
  return koffi.address(buffer)
}
