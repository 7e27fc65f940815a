// What an emulated node should be, kept with its placeholder, where a later run and other programs find it.

import {SystemError} from '../../../ffi/errors.js'
import {closeQuietly, duplicateCloseOnExec, fsetxattr} from '../../../ffi/libc.js'
import {CAP, capabilityMask} from '../../../kernel/capabilities.js'
import type {OwnCapabilities} from '../../caller/own-capabilities.js'
import {OVERRIDE_STAT, formatOverrideStat} from '../../records.js'
import type {RecordedNode} from '../../records.js'

/** Each keeps a descriptor open, as the placeholder can't be reached any more below its mount. */
export const RECORDS_MAX = 2048

export class NodeRecord {
  readonly #fd: number
  readonly #own: OwnCapabilities

  /** `placeholder`: a descriptor that reads the file; it stays the caller's. */
  constructor(placeholder: number, own: OwnCapabilities) {
    this.#fd = duplicateCloseOnExec(placeholder)
    this.#own = own
  }

  /** False where the file system keeps no such attributes, or has no room: the manifest then is the only record. */
  write(node: RecordedNode): boolean {
    return writeRecord(this.#fd, node, this.#own)
  }

  close(): void {
    closeQuietly(this.#fd)
  }
}

/** With a right of our own: what the file is a record of says nothing about who may write to the file. */
export function writeRecord(placeholder: number, node: RecordedNode, own: OwnCapabilities): boolean {
  const value = Buffer.from(formatOverrideStat(node))
  try {
    own.with(capabilityMask(CAP.DAC_OVERRIDE), () => fsetxattr(placeholder, OVERRIDE_STAT, value, value.length, 0))
    return true
  } catch (error) {
    if (error instanceof SystemError) return false
    throw error
  }
}
