// Image files as sources of mounts.

import {openat} from '../../../../ffi/libc.js'
import {AT_FDCWD, O_CLOEXEC, O_RDONLY, O_RDWR} from '../../../../kernel/constants.js'
import type {Caller} from '../../../family.js'

/** The part of a file that a loop device shows. */
export interface LoopImage {
  /** Descriptor of the caller's own file, for the taker to close. Undefined for a file that may not be mounted. */
  readonly file: number | undefined
  readonly offset: bigint
  readonly sizeLimit: bigint
  readonly readOnly: boolean
}

/**
 * An open file of its own of the image that `file` is a descriptor of, with the rights of the caller and of the mount
 * where it found it: what the policy names may be mounted, not written to by whoever may only read it.
 */
export function openImage(file: number, readOnly: boolean, caller: Caller): number {
  const flags = (readOnly ? O_RDONLY : O_RDWR) | O_CLOEXEC
  return caller.act(0n, file, () => openat(AT_FDCWD, `/proc/self/fd/${file}`, flags, 0))
}
