// What a program asks a loop device to show: the arguments of LOOP_SET_FD and LOOP_CONFIGURE.

import {ERRNO} from '../../../../kernel/errno.js'
import {LOOP_CONFIG, LOOP_INFO} from '../../../../kernel/names/loop.js'
import type {Performed} from '../../../family.js'

export interface LoopConfig {
  /** Descriptor of the caller. */
  readonly image: number
  readonly offset: bigint
  readonly sizeLimit: bigint
  readonly flags: number
}

export function readConfig(bytes: Buffer): LoopConfig {
  const info = bytes.subarray(LOOP_CONFIG.info)
  return {
    image: bytes.readInt32LE(0),
    offset: info.readBigUInt64LE(LOOP_INFO.offset),
    sizeLimit: info.readBigUInt64LE(LOOP_INFO.sizeLimit),
    flags: info.readUInt32LE(LOOP_INFO.flags),
  }
}

/** A register that is no address (NaN) is no descriptor either. */
export function descriptorOf(argument: number): number {
  return argument <= 0x7fff_ffff ? argument : -1
}

/** A partition would be a device of the host, whose number is given again at once. */
export const NO_PARTITIONS: Performed = {
  kind: 'refuse',
  errno: ERRNO.EINVAL,
  reason: 'a loop device of the container has no partitions; set up one of them by its offset and size (losetup -o)',
}
