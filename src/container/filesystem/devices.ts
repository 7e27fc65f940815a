// Devices of the host that a container is let at: by --device, and its own terminal.

import {readlinkSync, statSync} from 'node:fs'

import {UsageError} from '../../errors.js'
import {isTerminal} from '../../ffi/terminal.js'
import {display} from '../../host/path-bytes.js'
import type {DeviceRule} from '../../intercept/preparation.js'
import {decodeDevice} from '../../kernel/device-numbers.js'
import type {Device} from '../../kernel/device-numbers.js'

/**
 * What the container's cgroup lets it open of device nodes on the host.
 *
 * @throws UsageError where a path is no device node
 */
export function deviceRules(nodes: readonly Buffer[]): readonly DeviceRule[] {
  return nodes.map((path) => ({...deviceAt(path), access: 'rw'}))
}

/** Path of the terminal among the standard streams, for /dev/console. */
export function standardTerminal(): Buffer | undefined {
  const fd = [0, 1, 2].find((stream) => isTerminal(stream))
  if (fd === undefined) return undefined
  const path = readlinkSync(`/proc/self/fd/${fd}`, {encoding: 'buffer'})
  // A terminal of another mount namespace has no name here: it still works, but can't be bound.
  return statSync(path, {throwIfNoEntry: false})?.isCharacterDevice() === true ? path : undefined
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
