// The six registers of a call as they lie in a notification: halves, so that no BigInt is made for the common kinds.

import {AUDIT_ARCH_64BIT} from '../../kernel/abi.js'
import type {ArgumentIndex, Registers} from '../family.js'

/** Offset of seccomp_data.args in struct seccomp_notif, in 32-bit words (include/uapi/linux/seccomp.h). */
const ARGUMENTS_WORD = 8
const ARCH_WORD = 5
const ADDRESS_LIMIT = 2 ** 53

/** Looks into `words` at each call: one object serves every notification that is received into that memory. */
export class NotificationRegisters implements Registers {
  readonly #words: Uint32Array

  constructor(words: Uint32Array) {
    this.#words = words
  }

  int32(index: ArgumentIndex): number {
    return this.uint32(index) | 0
  }

  uint32(index: ArgumentIndex): number {
    return this.#words[ARGUMENTS_WORD + index * 2]!
  }

  uint64(index: ArgumentIndex): bigint {
    return (BigInt(this.#high(index)) << 32n) | BigInt(this.uint32(index))
  }

  address(index: ArgumentIndex): number {
    const address = this.#high(index) * 2 ** 32 + this.uint32(index)
    return address < ADDRESS_LIMIT ? address : NaN
  }

  /** All six, for the log of what could not be decoded. */
  all(): bigint[] {
    return ([0, 1, 2, 3, 4, 5] as const).map((index) => this.uint64(index))
  }

  /**
   * 0 on a 32-bit ABI: 64-bit code that enters by int 0x80 leaves whole registers in seccomp_data, of which the call
   * itself takes the low halves (SC_IA32_REGS_TO_ARGS in asm/syscall_wrapper.h). The filter does the same.
   */
  #high(index: ArgumentIndex): number {
    if ((this.#words[ARCH_WORD]! & AUDIT_ARCH_64BIT) === 0) return 0
    return this.#words[ARGUMENTS_WORD + index * 2 + 1]!
  }
}
