// Which super blocks were mounted for the container: shared by all workers, so that any of them can remount.

import {encodeDevice} from '../../../kernel/device-numbers.js'

const SLOTS = 512

/** Memory for `EmulatedMounts`, to be made once for each container. */
export function emulatedMountsMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer((SLOTS + 1) * 4)
}

/**
 * Device numbers of super blocks, as st_dev has them. A number is not taken out at umount, of which nobody is told: one
 * that comes again belongs to a file system of the container, or to a device that the policy lets it mount.
 */
export class EmulatedMounts {
  readonly #slots: Int32Array

  constructor(memory: SharedArrayBuffer) {
    this.#slots = new Int32Array(memory)
  }

  add(device: DeviceNumber): void {
    if (this.has(device)) return
    const slot = Atomics.add(this.#slots, SLOTS, 1)
    // When all are taken the oldest can't be remounted any more.
    Atomics.store(this.#slots, Math.abs(slot % SLOTS), valueOf(device))
  }

  has(device: DeviceNumber): boolean {
    const value = valueOf(device)
    return this.#slots.subarray(0, SLOTS).includes(value)
  }
}

export interface DeviceNumber {
  readonly devMajor: number
  readonly devMinor: number
}

/** 0 is an empty slot; no super block has device 0:0. */
function valueOf({devMajor, devMinor}: DeviceNumber): number {
  return encodeDevice({major: devMajor, minor: devMinor}) | 0
}
