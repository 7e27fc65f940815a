// From values in strace's notation to what the kernel would hold: six registers, and the memory that they point to.

import {SystemError} from '../ffi/errors.js'
import type {ArgumentIndex, Arguments, CallerMemory, Registers} from '../intercept/family.js'
import {ABIS} from '../kernel/abi.js'
import type {Abi} from '../kernel/abi.js'
import {PAGE_BYTES} from '../kernel/constants.js'
import {ERRNO} from '../kernel/errno.js'
import {numberOf, unknownName} from './numbers.js'
import type {ParsedCall} from './strace-notation.js'
import {encodeStruct} from './structs.js'

/** Why the value of an argument can't be known. */
export interface Doubt {
  readonly index: number
  readonly reason: string
}

export interface Imagined {
  /** undefined: not known, or not given. */
  readonly values: readonly (bigint | undefined)[]
  readonly registers: Registers
  readonly memory: CallerMemory
  readonly doubts: readonly Doubt[]
  /** Arguments that are addresses: what lies there is known, where it lies is not. */
  readonly addresses: ReadonlySet<number>
}

const WORD = (1n << 64n) - 1n
const FIRST_ADDRESS = 0x10_0000

/** A read of a register whose value is not known. */
export class UnknownArgument extends Error {
  readonly index: number

  constructor(index: number) {
    super(`argument ${index + 1} is not known`)
    this.name = 'UnknownArgument'
    this.index = index
  }
}

/** Memory as far as the notation tells it; everything else faults. */
class ImaginedMemory implements CallerMemory {
  readonly #regions = new Map<number, Buffer>()
  #next = FIRST_ADDRESS

  /** Each object gets pages of its own, so that reading beyond it faults. */
  place(bytes: Buffer): number {
    const address = this.#next
    this.#regions.set(address, bytes)
    this.#next += (Math.floor(bytes.length / PAGE_BYTES) + 2) * PAGE_BYTES
    return address
  }

  bytes(address: number, length: number): Buffer {
    if (length === 0) return Buffer.alloc(0)
    for (const [start, bytes] of this.#regions) {
      if (address >= start && address + length <= start + bytes.length) {
        return bytes.subarray(address - start, address - start + length)
      }
    }
    throw new SystemError('process_vm_readv', ERRNO.EFAULT)
  }

  string(address: number, limit: number): Buffer {
    for (const [start, bytes] of this.#regions) {
      if (address < start || address >= start + bytes.length) continue
      const rest = bytes.subarray(address - start)
      const end = rest.indexOf(0)
      if (end !== -1 && end < limit) return rest.subarray(0, end)
      throw new SystemError('process_vm_readv', end === -1 ? ERRNO.EFAULT : ERRNO.ENAMETOOLONG)
    }
    throw new SystemError('process_vm_readv', ERRNO.EFAULT)
  }

  write(): void {
    throw new SystemError('process_vm_writev', ERRNO.EFAULT)
  }
}

class ImaginedRegisters implements Registers {
  readonly #values: readonly (bigint | undefined)[]

  constructor(values: readonly (bigint | undefined)[]) {
    this.#values = values
  }

  int32(index: ArgumentIndex): number {
    return Number(BigInt.asIntN(32, this.uint64(index)))
  }

  uint32(index: ArgumentIndex): number {
    return Number(BigInt.asUintN(32, this.uint64(index)))
  }

  uint64(index: ArgumentIndex): bigint {
    const value = this.#values[index]
    if (value === undefined) throw new UnknownArgument(index)
    return value
  }

  address(index: ArgumentIndex): number {
    const value = this.uint64(index)
    return value < 2n ** 53n ? Number(value) : NaN
  }
}

/** What the kernel would see of the call. `declared`: how the arguments are read, which tells the layouts of structures. */
export function imagine(call: ParsedCall, abi: Abi, declared: Arguments = {}): Imagined {
  const layouts = new Map(Object.values(declared).map(({index, layout}) => [index as number, layout]))
  const memory = new ImaginedMemory()
  const doubts: Doubt[] = []
  const doubt = (index: number, reason: string): void => {
    doubts.push({index, reason})
  }
  const addresses = new Set<number>()
  const mask = ABIS[abi].bits === 32 ? 0xffff_ffffn : WORD
  const values = call.arguments.slice(0, 6).map((value, index): bigint | undefined => {
    const number = numberOf(value)
    if (number !== undefined) return number & mask
    if (value.kind === 'string') {
      addresses.add(index)
      if (value.truncated) doubt(index, 'the string was cut (strace -s 4096 keeps it)')
      return BigInt(memory.place(Buffer.concat([value.bytes, Buffer.of(0)])))
    }
    if (value.kind === 'array' || value.kind === 'struct') {
      addresses.add(index)
      const bytes = encodeStruct(value, layouts.get(index), (text) => memory.place(Buffer.concat([text, Buffer.of(0)])))
      // An address all the same: most calls are decided without what lies there.
      return BigInt(bytes === undefined ? FIRST_ADDRESS - PAGE_BYTES : memory.place(bytes))
    }
    const name = unknownName(value)
    doubt(index, name === undefined ? 'it is not understood' : `${name} is not known`)
    return undefined
  })
  while (values.length < 6) values.push(undefined)
  return {values, registers: new ImaginedRegisters(values), memory, doubts, addresses}
}
