// --mount: which file systems are mounted for the container, by whom, and of which sources.

import {UsageError} from '../../../errors.js'
import {INTERCEPTION, asPath, isOn, listOf, wholePath} from '../../../flag.js'
import type {ListFlag, SwitchFlag} from '../../../flag.js'
import {missing} from '../../policy.js'
import type {PolicyDeclaration} from '../../policy.js'

export interface MountPolicy {
  /** File-system types that the kernel mounts for the container. */
  readonly allowed: readonly string[]
  /** File-system type -> FUSE program that mounts it instead. */
  readonly fuse: Readonly<Record<string, string>>
  readonly shift: boolean
  /** Absolute host paths: block devices, image files, or directories of images. */
  readonly sources: readonly string[]
}

const mount: SwitchFlag = {
  ...INTERCEPTION,
  name: 'mount',
  kind: 'switch',
  summary: 'mount file systems for the container, as the next four flags allow',
  description:
    'Intercepts mount(2), and fsopen(2) with the calls that belong to it, for the types that --mount-allowed and ' +
    '--mount-fuse name. Bind mounts, propagation and types that a user namespace may mount by itself are not ' +
    'intercepted.',
}

export const allowed: ListFlag<string> = {
  ...INTERCEPTION,
  name: 'mount-allowed',
  kind: 'list',
  separator: ',',
  placeholder: 'FS[,FS]',
  parse: parseType,
  summary: "file systems that the host's kernel mounts for the container",
  description:
    "Types of file systems, such as ext4 or overlay, that the host's kernel mounts for the container, always with " +
    'nosuid and nodev. The kernel reads the image with all its rights, so name only types whose images you trust. May ' +
    'be repeated. Turns --mount on.',
}

export const fuse: ListFlag<readonly [type: string, helper: string]> = {
  ...INTERCEPTION,
  name: 'mount-fuse',
  kind: 'list',
  separator: ',',
  placeholder: 'FS=HELPER[,...]',
  parse: parseHelper,
  members: ['string'],
  summary: 'file systems that a FUSE program in the container mounts instead, as ext4=fuse2fs',
  description:
    'Has the FUSE program HELPER of the container mount file systems of the type FS. It runs there with the rights of ' +
    'the caller. May be repeated. Turns --mount on.',
}

const shift: SwitchFlag = {
  ...INTERCEPTION,
  name: 'mount-shift',
  kind: 'switch',
  summary: "show owners in what the kernel mounts as the container's ids",
  description:
    'Maps what --mount-allowed mounts to the ids of the container, so that id 0 of the image is its root. Without ' +
    'this flag, ids of the image are ids of the host, and the container sees them as 65534. Turns --mount on.',
}

export const source: ListFlag<string> = {
  ...INTERCEPTION,
  name: 'mount-source',
  kind: 'list',
  placeholder: 'PATH',
  parse: asPath,
  withPath: wholePath,
  summary: 'a block device, image file or directory of images that may be mounted',
  description:
    'Allows mounts of a block device, an image file, or the image files in a directory; the container sees it under ' +
    'its own path. Block devices of --device may be mounted too. May be repeated. Turns --mount on. Loop devices that ' +
    'losetup sets up over images are there to be mounted: what is written to the device itself is lost, and they have no ' +
    'partitions. Make file systems in the image.',
}

export const mountPolicy: PolicyDeclaration<MountPolicy> = {
  flags: [mount, allowed, fuse, shift, source],
  lxd: {
    switch: {key: 'security.syscalls.intercept.mount', flag: mount},
    others: [
      {key: 'security.syscalls.intercept.mount.allowed', flag: allowed},
      {key: 'security.syscalls.intercept.mount.fuse', flag: fuse},
      {key: 'security.syscalls.intercept.mount.shift', flag: shift},
    ],
  },
  fromFlags(values, {absolute, blockDevices}) {
    const [types, helpers, sources] = [listOf(values, allowed), listOf(values, fuse), listOf(values, source)]
    const isShifted = isOn(values, shift)
    const isGiven = [types, helpers, sources].some(({length}) => length > 0)
    if (!isOn(values, mount) && !isShifted && !isGiven) return undefined
    const twice = types.find((type) => helpers.some(([other]) => other === type))
    if (twice !== undefined) {
      throw new UsageError(`--${allowed.name} and --${fuse.name} both name ${twice}`, {
        hints: ['let either the kernel or a FUSE program mount it'],
      })
    }
    return {
      allowed: [...new Set(types)],
      fuse: Object.fromEntries(helpers),
      shift: isShifted,
      sources: [...sources, ...blockDevices()].map(absolute),
    }
  },
  beyond(asked, given) {
    const types = missing(asked.allowed, given.allowed).map((type) => `mounts of ${type}`)
    const helpers = Object.entries(asked.fuse)
      .filter(([type, helper]) => given.fuse[type] !== helper)
      .map(([type, helper]) => `mounts of ${type} by ${helper}`)
    const sources = missing(asked.sources, given.sources).map((path) => `mounts of ${path}`)
    return [...types, ...helpers, ...sources, ...(asked.shift && !given.shift ? ['id-mapped mounts'] : [])]
  },
}

function parseType(name: string, text: string): string {
  if (/^[\w.-]{1,64}$/.test(text)) return text
  throw new UsageError(`--${name}: ${JSON.stringify(text)} is no type of file system`, {
    hints: ['types are those of /proc/filesystems, for example ext4'],
  })
}

/** `ext4=fuse2fs`; as LXD has it, the program begins after the first `=`. */
function parseHelper(name: string, text: string): readonly [type: string, helper: string] {
  const equals = text.indexOf('=')
  const [type, helper] = [text.slice(0, equals), text.slice(equals + 1)]
  if (equals < 1 || helper === '' || helper.includes('\0')) {
    throw new UsageError(`--${name} ${JSON.stringify(text)} names no file system and program`, {
      hints: ['write it as FS=HELPER, for example ext4=fuse2fs'],
    })
  }
  return [parseType(name, type), helper]
}
