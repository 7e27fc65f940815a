// --mknod: which device nodes are made for the container.

import {UsageError} from '../../../errors.js'
import {INTERCEPTION, isOn, listOf} from '../../../flag.js'
import type {ListFlag, SwitchFlag} from '../../../flag.js'
import {DEFAULT_DEVICES, formatDevice, sameDevice} from '../../../kernel/device-numbers.js'
import type {Device} from '../../../kernel/device-numbers.js'
import {missing} from '../../policy.js'
import type {PolicyContext, PolicyDeclaration} from '../../policy.js'
import {parseDevice} from './device.js'
import type {DevicePath} from './device.js'

export interface MknodPolicy {
  readonly devices: readonly Device[]
}

const mknod: SwitchFlag = {
  ...INTERCEPTION,
  name: 'mknod',
  kind: 'switch',
  summary: 'make the safe character devices for the container',
  description:
    'mknod(2) and mknodat(2) make the safe character devices: null, zero, full, random, urandom, tty, console, ' +
    'ptmx. Every other device is refused.',
}

export const allow: ListFlag<Device | DevicePath> = {
  ...INTERCEPTION,
  name: 'mknod-allow',
  kind: 'list',
  placeholder: 'DEV',
  parse: (_name, text) => parseDevice(text),
  summary: 'allow one more device, as c:10:229, b:7:0 or /dev/fuse',
  description:
    'One more device that mknod(2) may make: c or b, major and minor number with colons between, or the path of a ' +
    'device node of the host. May be repeated. Turns --mknod on.',
}

export const mknodPolicy: PolicyDeclaration<MknodPolicy> = {
  flags: [mknod, allow],
  lxd: {switch: {key: 'security.syscalls.intercept.mknod', flag: mknod}},
  fromFlags(values, context) {
    const allowed = listOf(values, allow)
    if (!isOn(values, mknod) && allowed.length === 0) return undefined
    const devices: Device[] = [...DEFAULT_DEVICES]
    for (const each of allowed) {
      const device = 'path' in each ? lookUp(each.path, context) : each
      if (!devices.some((known) => sameDevice(known, device))) devices.push(device)
    }
    return {devices}
  },
  beyond: (asked, given) =>
    missing(asked.devices.map(formatDevice), given.devices.map(formatDevice)).map((device) => `mknod of ${device}`),
}

function lookUp(path: string, {deviceAt}: PolicyContext): Device {
  let device: Device | undefined
  try {
    device = deviceAt(path)
  } catch (cause) {
    throw new UsageError(`cannot read device '${path}'`, {
      cause,
      hints: ["name it by its numbers, e.g. 'c:10:229', where the host lacks the node"],
    })
  }
  if (device === undefined) throw new UsageError(`cannot read device '${path}': not a device node`)
  return device
}
