// Loop devices for image files, set up by the supervisor; the kernel takes them away with the last mount (loop(4)).

import {SystemError, isSystemError} from '../../../../ffi/errors.js'
import {closeQuietly, flock, ioctl, ioctlNumber, openat, read} from '../../../../ffi/libc.js'
import {AT_FDCWD, O_CLOEXEC, O_RDONLY, O_RDWR} from '../../../../kernel/constants.js'
import type {Device} from '../../../../kernel/device-numbers.js'
import {ERRNO} from '../../../../kernel/errno.js'
import {
  LOOP_CONFIG,
  LOOP_CONFIGURE,
  LOOP_CTL_GET_FREE,
  LOOP_INFO,
  LOOP_MAJOR,
  LOOP_NAME_BYTES,
  LO_FLAGS_AUTOCLEAR,
  LO_FLAGS_READ_ONLY,
} from '../../../../kernel/names/loop.js'

export const LOOP_CONTROL: Device = {type: 'c', major: 10, minor: 237}
const TRIES = 16

const LOCK_SH = 1
export const LOCK_EX = 2
export const LOCK_NB = 4

export interface LoopDevice {
  readonly device: Device
  /** Keeps the device set up until it is mounted; then to be closed. */
  readonly fd: number
}

export interface LoopRequest {
  /** Open for reading, and for writing unless `readOnly`. Stays the caller's. */
  readonly image: number
  readonly readOnly: boolean
  readonly offset?: bigint
  readonly sizeLimit?: bigint
  /** For losetup(8) of the host. */
  readonly name: Buffer
}

/** How devices of the host are opened, and the privilege for their ioctls. */
export interface LoopRights {
  openDevice(device: Device, flags: number): number
  privileged<T>(action: () => T): T
}

/** EBUSY where the image is in use by another loop device of ours: two file systems would write to it. */
export function attachImage(request: LoopRequest, rights: LoopRights): LoopDevice {
  lockImage(request)
  const control = rights.openDevice(LOOP_CONTROL, O_RDWR)
  try {
    for (let tries = TRIES; ; tries--) {
      const number = rights.privileged(() => ioctlNumber(control, LOOP_CTL_GET_FREE, 0))
      const device = {type: 'b', major: LOOP_MAJOR, minor: minorOf(number)} as const
      const fd = rights.openDevice(device, request.readOnly ? O_RDONLY : O_RDWR)
      try {
        rights.privileged(() => ioctl(fd, LOOP_CONFIGURE, configuration(request)))
        return {device, fd}
      } catch (error) {
        closeQuietly(fd)
        // Somebody else was faster.
        if (tries <= 1 || !isSystemError(error, ERRNO.EBUSY)) throw error
      }
    }
  } finally {
    closeQuietly(control)
  }
}

/** The device holds the open file, and with it the lock, for as long as it is set up. */
function lockImage({image, readOnly}: LoopRequest): void {
  try {
    flock(image, (readOnly ? LOCK_SH : LOCK_EX) | LOCK_NB)
  } catch (error) {
    throw isSystemError(error, ERRNO.EAGAIN) ? new SystemError('flock', ERRNO.EBUSY) : error
  }
}

function configuration({image, readOnly, offset = 0n, sizeLimit = 0n, name}: LoopRequest): Buffer {
  const config = Buffer.alloc(LOOP_CONFIG.size)
  config.writeUInt32LE(image, 0)
  const info = config.subarray(LOOP_CONFIG.info)
  info.writeBigUInt64LE(offset, LOOP_INFO.offset)
  info.writeBigUInt64LE(sizeLimit, LOOP_INFO.sizeLimit)
  info.writeUInt32LE(LO_FLAGS_AUTOCLEAR | (readOnly ? LO_FLAGS_READ_ONLY : 0), LOOP_INFO.flags)
  name.copy(info, LOOP_INFO.fileName, 0, Math.min(name.length, LOOP_NAME_BYTES - 1))
  return config
}

/** Numbers are spread where loop devices have partitions (max_part of the module). */
function minorOf(number: number): number {
  try {
    const fd = openat(AT_FDCWD, `/sys/block/loop${number}/dev`, O_RDONLY | O_CLOEXEC, 0)
    try {
      const bytes = Buffer.alloc(32)
      const text = bytes.toString('latin1', 0, read(fd, bytes, bytes.length))
      const minor = /^7:(\d+)\n$/.exec(text)?.[1]
      return minor === undefined ? number : Number(minor)
    } finally {
      closeQuietly(fd)
    }
  } catch (error) {
    if (error instanceof SystemError) return number
    throw error
  }
}
