// fsopen, fsconfig, fsmount, fspick, and what is done with their descriptors: replayed on what the container never holds.

import {dirFd, flags, int32, size} from '../../../caller/argument-kinds.js'
import type {FlagTable} from '../../../caller/argument-kinds.js'
import {attributeChange, configCommand, configValue, contextText} from './context-arguments.js'
import type {MountState} from '../kernel-mount.js'
import {performFsmount, performMountSetattr, performMoveMount} from './detached.js'
import {performFsconfig, performFsopen, performFspick} from './configure.js'
import type {MountPolicy} from '../policy.js'
import {defineSyscall} from '../../../family.js'
import type {AnyCall, FamilyOptions, Verdict} from '../../../family.js'
import {
  NOT_OURS,
  decideFsconfig,
  decideFsmount,
  decideFsopen,
  decideFspick,
  decideMountSetattr,
  decideMoveMount,
} from './decide.js'

const PATH_MAX = 4096
const PAGE_BYTES = 4096
const AT_EMPTY_PATH = 0x1000

const OPEN_FLAGS: FlagTable = {prefix: 'FSOPEN_', names: {FSOPEN_CLOEXEC: 1}}
const FSMOUNT_FLAGS: FlagTable = {prefix: 'FSMOUNT_', names: {FSMOUNT_CLOEXEC: 1}}
const PICK_FLAGS: FlagTable = {
  prefix: 'FSPICK_',
  names: {FSPICK_CLOEXEC: 1, FSPICK_SYMLINK_NOFOLLOW: 2, FSPICK_NO_AUTOMOUNT: 4, FSPICK_EMPTY_PATH: 8},
}
const ATTRIBUTE_FLAGS: FlagTable = {
  prefix: 'MOUNT_ATTR_',
  names: {
    MOUNT_ATTR_RDONLY: 0x1,
    MOUNT_ATTR_NOSUID: 0x2,
    MOUNT_ATTR_NODEV: 0x4,
    MOUNT_ATTR_NOEXEC: 0x8,
    MOUNT_ATTR_NOATIME: 0x10,
    MOUNT_ATTR_STRICTATIME: 0x20,
    MOUNT_ATTR_NODIRATIME: 0x80,
    MOUNT_ATTR_NOSYMFOLLOW: 0x20_0000,
  },
}
const FROM_EMPTY_PATH = 0x4
const MOVE_FLAGS: FlagTable = {
  prefix: 'MOVE_MOUNT_',
  names: {
    MOVE_MOUNT_F_SYMLINKS: 0x1,
    MOVE_MOUNT_F_AUTOMOUNTS: 0x2,
    MOVE_MOUNT_F_EMPTY_PATH: FROM_EMPTY_PATH,
    MOVE_MOUNT_T_SYMLINKS: 0x10,
    MOVE_MOUNT_T_AUTOMOUNTS: 0x20,
    MOVE_MOUNT_T_EMPTY_PATH: 0x40,
    MOVE_MOUNT_SET_GROUP: 0x100,
    MOVE_MOUNT_BENEATH: 0x200,
  },
}
const SETATTR_FLAGS: FlagTable = {
  prefix: 'AT_',
  names: {AT_SYMLINK_NOFOLLOW: 0x100, AT_NO_AUTOMOUNT: 0x800, AT_EMPTY_PATH, AT_RECURSIVE: 0x8000},
}

/** While the container holds none of our contexts all but the first two calls are the kernel's. */
const early = ({contexts}: MountState): Verdict | undefined => (contexts.isEmpty ? NOT_OURS : undefined)

export function newMountCalls(options: FamilyOptions): readonly AnyCall[] {
  return [
    defineSyscall({
      name: 'fsopen',
      arguments: {type: contextText(0, PAGE_BYTES), flags: flags(1, OPEN_FLAGS)},
      lane: 'slow',
      decide: (values, facts, policy: MountPolicy) => decideFsopen(values, facts, policy, options),
      perform: performFsopen,
    }),
    // Without rights over the host there is nothing that could have been mounted with them.
    ...(options.rootless ? [] : replayedCalls()),
  ]
}

function replayedCalls(): readonly AnyCall[] {
  return [
    defineSyscall({
      name: 'fspick',
      arguments: {dirfd: dirFd(0), path: contextText(1, PATH_MAX), flags: flags(2, PICK_FLAGS)},
      lane: 'slow',
      decide: decideFspick,
      perform: performFspick,
    }),
    defineSyscall({
      name: 'fsconfig',
      arguments: {fd: int32(0), cmd: configCommand(1), key: contextText(2), value: configValue(3, 1), aux: int32(4)},
      lane: 'slow',
      early,
      decide: decideFsconfig,
      perform: performFsconfig,
    }),
    defineSyscall({
      name: 'fsmount',
      arguments: {fd: int32(0), flags: flags(1, FSMOUNT_FLAGS), attr_flags: flags(2, ATTRIBUTE_FLAGS)},
      lane: 'slow',
      early,
      decide: decideFsmount,
      perform: performFsmount,
    }),
    defineSyscall({
      name: 'mount_setattr',
      arguments: {
        dirfd: dirFd(0),
        path: contextText(1, PATH_MAX),
        flags: flags(2, SETATTR_FLAGS),
        attr: attributeChange(3, 4),
        size: size(4),
      },
      condition: [[{argument: 2, width: 32, mask: BigInt(AT_EMPTY_PATH), operator: 'ne', value: 0n}]],
      lane: 'slow',
      early,
      decide: decideMountSetattr,
      perform: performMountSetattr,
    }),
    defineSyscall({
      name: 'move_mount',
      arguments: {
        from_dirfd: dirFd(0),
        from_path: contextText(1, PATH_MAX),
        to_dirfd: dirFd(2),
        to_path: contextText(3, PATH_MAX),
        flags: flags(4, MOVE_FLAGS),
      },
      condition: [[{argument: 4, width: 32, mask: BigInt(FROM_EMPTY_PATH), operator: 'ne', value: 0n}]],
      lane: 'slow',
      early,
      decide: decideMoveMount,
      perform: performMoveMount,
    }),
  ]
}
