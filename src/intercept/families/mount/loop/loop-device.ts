// Loop devices for image files, set up by the supervisor; the kernel takes them away with the last mount (loop(4)).

import {ERRNO, SystemError, isSystemError} from '../../../../ffi/errors.js'
import {
  AT_FDCWD,
  O_CLOEXEC,
  O_RDONLY,
  O_RDWR,
  closeQuietly,
  flock,
  ioctl,
  ioctlNumber,
  openat,
  read,
} from '../../../../ffi/libc.js'
import type {Device} from '../../../../kernel/device-numbers.js'

// include/uapi/linux/loop.h
export const LOOP_CTL_GET_FREE = 0x4c82
export const LOOP_CONFIGURE = 0x4c0a
const LO_FLAGS_READ_ONLY = 1
const LO_FLAGS_AUTOCLEAR = 4
/** struct loop_config: descriptor, block size, struct loop_info64, reserved words. */
const CONFIG_BYTES = 304
const INFO = 8
const LO_OFFSET = INFO + 24
const LO_SIZELIMIT = INFO + 32
const LO_FLAGS = INFO + 52
const LO_FILE_NAME = INFO + 56
const LO_NAME_SIZE = 64

export const LOOP_CONTROL: Device = {type: 'c', major: 10, minor: 237}
export const LOOP_MAJOR = 7
const TRIES = 16

const LOCK_SH = 1
const LOCK_EX = 2
const LOCK_NB = 4

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
  const config = Buffer.alloc(CONFIG_BYTES)
  config.writeUInt32LE(image, 0)
  config.writeBigUInt64LE(offset, LO_OFFSET)
  config.writeBigUInt64LE(sizeLimit, LO_SIZELIMIT)
  config.writeUInt32LE(LO_FLAGS_AUTOCLEAR | (readOnly ? LO_FLAGS_READ_ONLY : 0), LO_FLAGS)
  name.copy(config, LO_FILE_NAME, 0, Math.min(name.length, LO_NAME_SIZE - 1))
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
