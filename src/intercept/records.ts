// What a rootless supervisor records in extended attributes of user.*: the device node that an empty file stands for, and
// trusted attributes under a name that it may set. Archives are read from the same records. Pure.

import {PERMISSIONS} from '../kernel/constants.js'
import {MAX_MAJOR, MAX_MINOR} from '../kernel/device-numbers.js'
import type {Device} from '../kernel/device-numbers.js'

/** Where a supervisor that cannot set trusted.* keeps it: this prefix and the whole name. */
export const RECORDED_PREFIX = 'user.interceptor.'

/** A node, as fuse-overlayfs and containers/storage write it: UID:GID:MODE:TYPE, e.g. `0:0:0666:char-1-3`. */
export const OVERRIDE_STAT = 'user.containers.override_stat'
/** More than any value has that is ours to read: four ids and a word. */
export const OVERRIDE_STAT_MAX = 64

export interface RecordedNode {
  readonly device: Device
  /** Permissions. */
  readonly mode: number
  /** Ids of the container. */
  readonly uid: number
  readonly gid: number
}

const HIGHEST_ID = 2 ** 32 - 2

export function formatOverrideStat({device, mode, uid, gid}: RecordedNode): string {
  const permissions = (mode & PERMISSIONS).toString(8).padStart(4, '0')
  const type = device.type === 'b' ? 'block' : 'char'
  return `${uid}:${gid}:${permissions}:${type}-${device.major}-${device.minor}`
}

/** undefined for what is no device node, or is not written as above. The container can have written anything. */
export function parseOverrideStat(text: string): RecordedNode | undefined {
  const match = /^(\d{1,10}):(\d{1,10}):([0-7]{1,5}):(block|char)-(\d{1,10})-(\d{1,10})$/.exec(text)
  if (match === null) return undefined
  const [uid, gid, major, minor] = [match[1], match[2], match[5], match[6]].map(Number) as [
    number,
    number,
    number,
    number,
  ]
  const mode = Number.parseInt(match[3] ?? '', 8)
  if (uid > HIGHEST_ID || gid > HIGHEST_ID || mode > PERMISSIONS || major > MAX_MAJOR || minor > MAX_MINOR)
    return undefined
  return {device: {type: match[4] === 'block' ? 'b' : 'c', major, minor}, mode, uid, gid}
}
