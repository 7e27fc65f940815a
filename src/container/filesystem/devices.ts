// Devices of the host that a container is let at: by policy, by --device, and its own terminal.

import {readlinkSync, statSync} from 'node:fs'

import {isTerminal} from '../../ffi/terminal.js'
import {UsageError} from '../../errors.js'
import {decodeDevice} from '../../kernel/device-numbers.js'
import type {Device} from '../../intercept/policy.js'
import type {DeviceRule} from '../cgroup/device-rule.js'
import {display} from './path-bytes.js'

/** A node of it may be made, as debootstrap does, but it is the host's console: it is never opened. */
const CONSOLE = {type: 'c', major: 5, minor: 1} as const

/**
 * What the container's cgroup lets it open beside the base rule.
 *
 * @param allowed devices that --mknod makes
 * @param nodes paths of device nodes on the host
 * @throws UsageError where a path is no device node
 */
export function deviceRules(allowed: readonly Device[], nodes: readonly Buffer[]): readonly DeviceRule[] {
  return [...allowed.filter((device) => !isConsole(device)), ...nodes.map(deviceAt)].map((device) => ({
    ...device,
    access: 'rw',
  }))
}

/** Path of the terminal among the standard streams, for /dev/console. */
export function standardTerminal(): Buffer | undefined {
  const fd = [0, 1, 2].find((stream) => isTerminal(stream))
  if (fd === undefined) return undefined
  const path = readlinkSync(`/proc/self/fd/${fd}`, {encoding: 'buffer'})
  // A terminal of another mount namespace has no name here: it still works, but can't be bound.
  return statSync(path, {throwIfNoEntry: false})?.isCharacterDevice() === true ? path : undefined
}

function isConsole({type, major, minor}: Device): boolean {
  return type === CONSOLE.type && major === CONSOLE.major && minor === CONSOLE.minor
}

function deviceAt(path: Buffer): Device {
  const stats = statSync(path, {throwIfNoEntry: false})
  if (stats === undefined || !(stats.isCharacterDevice() || stats.isBlockDevice())) {
    throw new UsageError(`cannot let the container at ${display(path)}: it is no device node`, {
      hints: ['name a node of the host, as in --device /dev/fuse'],
    })
  }
  return {type: stats.isBlockDevice() ? 'b' : 'c', ...decodeDevice(stats.rdev)}
}
