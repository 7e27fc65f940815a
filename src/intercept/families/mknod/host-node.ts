// The host's own device nodes, for a supervisor that can't make any.

import {readFileSync, statSync} from 'node:fs'

import {SystemError} from '../../../ffi/errors.js'
import {closeQuietly} from '../../../ffi/libc.js'
import {fstat, mount_setattr, open_tree} from '../../../ffi/mount.js'
import type {Statx} from '../../../ffi/mount.js'
import {CAP, capabilityMask} from '../../../kernel/capabilities.js'
import {AT_EMPTY_PATH, AT_FDCWD, S_IFBLK, S_IFCHR, S_IFMT} from '../../../kernel/constants.js'
import {nameDevice, sameDevice, splitDevice} from '../../../kernel/device-numbers.js'
import type {Device} from '../../../kernel/device-numbers.js'
import {
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
} from '../../../kernel/names/mount-api.js'
import type {OwnCapabilities} from '../../caller/own-capabilities.js'

const MOUNT = capabilityMask(CAP.SYS_ADMIN)
const CONSOLE: Device = {type: 'c', major: 5, minor: 1}

/** The major is -1 for what is no device node, so that no policy names it. */
export function deviceOf({mode, rdevMajor, rdevMinor}: Statx): Device {
  const type = mode & S_IFMT
  return {
    type: type === S_IFBLK ? 'b' : 'c',
    major: type === S_IFBLK || type === S_IFCHR ? rdevMajor : -1,
    minor: rdevMinor,
  }
}

/**
 * A detached mount of the host's node, for a supervisor that can't make nodes; undefined where there is none, and for
 * the console, which must never be the host's.
 */
export function cloneHostNode(device: Device, own: OwnCapabilities): number | undefined {
  if (sameDevice(device, CONSOLE)) return undefined
  for (const path of hostPaths(device)) {
    let tree: number
    try {
      tree = own.with(MOUNT, () => open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC))
    } catch (error) {
      if (error instanceof SystemError) continue
      throw error
    }
    try {
      // What is mounted is what was looked at.
      if (sameDevice(deviceOf(fstat(tree)), device)) {
        own.with(MOUNT, () => mount_setattr(tree, '', AT_EMPTY_PATH, {set: MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC}))
        return tree
      }
    } catch (error) {
      closeQuietly(tree)
      throw error
    }
    closeQuietly(tree)
  }
  return undefined
}

function hostPaths(device: Device): string[] {
  const known = nameDevice(device)
  const paths = known.startsWith('/') ? [known] : []
  const {major, minor} = device
  try {
    const event = readFileSync(`/sys/dev/${device.type === 'b' ? 'block' : 'char'}/${major}:${minor}/uevent`, 'latin1')
    const name = /^DEVNAME=(.+)$/m.exec(event)?.[1]
    if (name !== undefined) paths.push(`/dev/${name}`)
  } catch {
    // No such device, or no sysfs: the known name is all there is.
  }
  return paths.filter((path) => isNode(path, device))
}

function isNode(path: string, device: Device): boolean {
  const status = statSync(path, {bigint: true, throwIfNoEntry: false})
  if (status === undefined) return false
  const {major, minor} = splitDevice(status.rdev)
  return major === device.major && minor === device.minor
}
