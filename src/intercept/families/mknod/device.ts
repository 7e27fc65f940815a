// A device as a person writes it: by its numbers, or by the path of a node of the host. Pure.

import {UsageError} from '../../../errors.js'
import {MAX_MAJOR, MAX_MINOR, sameDevice} from '../../../kernel/device-numbers.js'
import type {Device} from '../../../kernel/device-numbers.js'

export {DEFAULT_DEVICES, describeDevice, formatDevice, nameDevice, sameDevice} from '../../../kernel/device-numbers.js'

/** Where the host has a node of the device. */
export interface DevicePath {
  readonly path: string
}

/** `c:10:229`, `b:7:0` or the path of a device node. Throws UsageError. */
export function parseDevice(text: string): Device | DevicePath {
  if (text.startsWith('/')) return {path: text}
  const match = /^([bc]):(\d{1,10}):(\d{1,10})$/.exec(text)
  if (!match) {
    throw new UsageError(`cannot read device '${text}': neither TYPE:MAJOR:MINOR nor an absolute path`, {
      hints: ["write it as 'c:10:229', 'b:7:0' or '/dev/fuse'"],
    })
  }
  const device: Device = {type: match[1] === 'b' ? 'b' : 'c', major: Number(match[2]), minor: Number(match[3])}
  if (device.major > MAX_MAJOR || device.minor > MAX_MINOR) {
    throw new UsageError(`cannot read device '${text}': the highest numbers are ${MAX_MAJOR}:${MAX_MINOR}`)
  }
  return device
}

/** A node of it may be made, as debootstrap does, but it is the host's console: it is never opened. */
const CONSOLE: Device = {type: 'c', major: 5, minor: 1}

/** Whether the container may open an allowed device, and not only make a node of it. */
export function isOpenable(device: Device): boolean {
  return !sameDevice(device, CONSOLE)
}
