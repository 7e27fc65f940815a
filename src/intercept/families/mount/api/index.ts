// fsopen, fsconfig, fsmount, fspick, and what is done with their descriptors: replayed on what the container never holds.

import {AT_EMPTY_PATH, PAGE_BYTES, PATH_MAX} from '../../../../kernel/constants.js'
import {AT_FLAGS} from '../../../../kernel/names/files.js'
import {
  FSMOUNT_FLAGS,
  FSOPEN_FLAGS,
  FSPICK_FLAGS,
  MOUNT_ATTRIBUTES,
  MOVE_MOUNT_FLAGS,
  MOVE_MOUNT_F_EMPTY_PATH,
} from '../../../../kernel/names/mount-api.js'
import {dirFd, flags, int32, size} from '../../../caller/argument-kinds.js'
import {defineSyscall} from '../../../family.js'
import type {AnyCall, FamilyOptions, Verdict} from '../../../family.js'
import type {MountState} from '../state.js'
import type {MountPolicy} from '../policy.js'
import {performFsconfig, performFsopen, performFspick} from './configure.js'
import {attributeChange, configCommand, configValue, contextText} from './context-arguments.js'
import {
  NOT_OURS,
  decideFsconfig,
  decideFsmount,
  decideFsopen,
  decideFspick,
  decideMountSetattr,
  decideMoveMount,
} from './decide.js'
import {performFsmount, performMountSetattr, performMoveMount} from './detached.js'

/** While the container holds none of our contexts all but the first two calls are the kernel's. */
const precheck = ({contexts}: MountState): Verdict | undefined => (contexts.isEmpty ? NOT_OURS : undefined)

export function newMountCalls(options: FamilyOptions): readonly AnyCall[] {
  return [
    defineSyscall({
      name: 'fsopen',
      arguments: {type: contextText(0, PAGE_BYTES), flags: flags(1, FSOPEN_FLAGS)},
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
      arguments: {dirfd: dirFd(0), path: contextText(1, PATH_MAX), flags: flags(2, FSPICK_FLAGS)},
      lane: 'slow',
      decide: decideFspick,
      perform: performFspick,
    }),
    defineSyscall({
      name: 'fsconfig',
      arguments: {fd: int32(0), cmd: configCommand(1), key: contextText(2), value: configValue(3, 1), aux: int32(4)},
      lane: 'slow',
      precheck,
      decide: decideFsconfig,
      perform: performFsconfig,
    }),
    defineSyscall({
      name: 'fsmount',
      arguments: {fd: int32(0), flags: flags(1, FSMOUNT_FLAGS), attr_flags: flags(2, MOUNT_ATTRIBUTES)},
      lane: 'slow',
      precheck,
      decide: decideFsmount,
      perform: performFsmount,
    }),
    defineSyscall({
      name: 'mount_setattr',
      arguments: {
        dirfd: dirFd(0),
        path: contextText(1, PATH_MAX),
        flags: flags(2, AT_FLAGS),
        attr: attributeChange(3, 4),
        size: size(4),
      },
      condition: [[{argument: 2, width: 32, mask: BigInt(AT_EMPTY_PATH), operator: 'ne', value: 0n}]],
      lane: 'slow',
      precheck,
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
        flags: flags(4, MOVE_MOUNT_FLAGS),
      },
      condition: [[{argument: 4, width: 32, mask: BigInt(MOVE_MOUNT_F_EMPTY_PATH), operator: 'ne', value: 0n}]],
      lane: 'slow',
      precheck,
      decide: decideMoveMount,
      perform: performMoveMount,
    }),
  ]
}
