// fsmount(2) and what comes between it and the place of the mount: attributes and move_mount(2).

import {SystemError, isSystemError} from '../../../../ffi/errors.js'
import {closeQuietly, openat} from '../../../../ffi/libc.js'
import {fsmount, fstat, fstatfs, mount_setattr, move_mount} from '../../../../ffi/mount.js'
import {CAP, capabilityMask} from '../../../../kernel/capabilities.js'
import {
  AT_EMPTY_PATH,
  O_CLOEXEC,
  O_DIRECTORY,
  O_RDONLY,
  ST_NOEXEC,
  ST_NOSYMFOLLOW,
  ST_RDONLY,
} from '../../../../kernel/constants.js'
import {ERRNO} from '../../../../kernel/errno.js'
import {
  FSMOUNT_CLOEXEC,
  MOUNT_ATTR_IDMAP,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_NOSYMFOLLOW,
  MOUNT_ATTR_RDONLY,
  MOVE_MOUNT_BENEATH,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_SET_GROUP,
  MOVE_MOUNT_T_EMPTY_PATH,
  MOVE_MOUNT_T_SYMLINKS,
} from '../../../../kernel/names/mount-api.js'
import {MS_PRIVATE, MS_SHARED, MS_SLAVE, MS_UNBINDABLE} from '../../../../kernel/names/mount.js'
import {pathOfDescriptor} from '../../../caller/descriptor-path.js'
import {isUnread} from '../../../caller/tolerant.js'
import type {Unread} from '../../../caller/tolerant.js'
import type {Caller, ManifestEntry, Performed} from '../../../family.js'
import {UNLOCKED_ATTRIBUTES} from '../flags.js'
import {openUserNamespace} from '../kernel-mount.js'
import type {MountState} from '../state.js'
import {STRATEGY, notAble, replay, typeOf} from './configure.js'
import type {AttributeChange} from './context-arguments.js'
import type {FsContext} from './contexts.js'
import {NOT_OURS, isAble} from './decide.js'
import type {MoveMountValues} from './decide.js'
import {descriptorFlags} from './descriptor-facts.js'

const ADMIN = capabilityMask(CAP.SYS_ADMIN)
/** What every mount for a container has, for good. */
const LOCKED_ATTRIBUTES = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV
/** 0 or one of MS_UNBINDABLE, MS_PRIVATE, MS_SLAVE, MS_SHARED: build_mount_kattr() in fs/namespace.c. */
const PROPAGATIONS = new Set([0, MS_UNBINDABLE, MS_PRIVATE, MS_SLAVE, MS_SHARED])

export function performFsmount(
  values: {readonly fd: number; readonly flags: number; readonly attr_flags: number},
  caller: Caller,
  state: MountState,
): Performed {
  const context = state.contexts.find(caller, values.fd)
  if (context?.isContext !== true) return NOT_OURS
  if (!isAble(caller.facts)) return notAble()
  return replay(context, state, () => {
    if ((values.flags & ~FSMOUNT_CLOEXEC) !== 0) throw new SystemError('fsmount', ERRNO.EINVAL)
    caller.assertAlive()
    const attributes = values.attr_flags | LOCKED_ATTRIBUTES
    const tree = state.own.with(ADMIN, () => fsmount(context.fd, FSMOUNT_CLOEXEC, attributes))
    shift(tree, typeOf(context, state), state)
    const fd = state.contexts.add({tree, type: context.type, source: context.source, parent: context})
    return {kind: 'descriptor', fd, closeOnExec: (values.flags & FSMOUNT_CLOEXEC) !== 0, strategy: STRATEGY}
  })
}

/** As for mount(2); where the file system can't show other ids, the mount shows its own. */
function shift(tree: number, type: string | undefined, state: MountState): void {
  if (!state.policy.shift || type === 'hugetlbfs' || type === 'overlay') return
  const userNamespace = openUserNamespace(state)
  try {
    state.own.with(ADMIN, () => mount_setattr(tree, '', AT_EMPTY_PATH, {set: MOUNT_ATTR_IDMAP, userNamespace}))
  } catch (error) {
    if (isSystemError(error, ERRNO.EINVAL)) return
    closeQuietly(tree)
    throw error
  } finally {
    closeQuietly(userNamespace)
  }
}

/** On the mount before its flags are locked, which would lock access times too (lock_mnt_tree() in fs/namespace.c). */
export function performMountSetattr(
  {dirfd, attr}: {readonly dirfd: number; readonly attr: AttributeChange | Unread},
  caller: Caller,
  state: MountState,
): Performed {
  const mount = isUnread(attr) ? undefined : state.contexts.find(caller, dirfd)
  if (mount === undefined || mount.isContext || isUnread(attr)) return NOT_OURS
  return replay(mount, state, () => {
    const {tree} = mount
    if (tree === undefined || !PROPAGATIONS.has(attr.propagation)) throw new SystemError('mount_setattr', ERRNO.EINVAL)
    if (((attr.set | attr.clear) & MOUNT_ATTR_IDMAP) !== 0) {
      const reason = 'ids of what is mounted for a container are for --mount-shift to map'
      return {kind: 'failed', errno: ERRNO.EPERM, strategy: STRATEGY, reason}
    }
    const {set, clear} = attr
    state.own.with(ADMIN, () => mount_setattr(tree, '', AT_EMPTY_PATH, {set, clear: clear & ~LOCKED_ATTRIBUTES}))
    if (attr.propagation !== 0) mount.propagation = attr.propagation
    const isKept = (clear & LOCKED_ATTRIBUTES) !== 0
    return {kind: 'done', value: 0, strategy: STRATEGY, ...(isKept && {reason: 'nosuid and nodev stay'})}
  })
}

export function performMoveMount(values: MoveMountValues, caller: Caller, state: MountState): Performed {
  const mount = state.contexts.find(caller, values.from_dirfd)
  if (mount === undefined || mount.isContext) return NOT_OURS
  return replay(mount, state, () => {
    if (mount.tree === undefined || (values.flags & MOVE_MOUNT_SET_GROUP) !== 0)
      throw new SystemError('move_mount', ERRNO.EINVAL)
    const target = openTarget(values, caller)
    const locked = lock(mount, mount.tree, state)
    try {
      const flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH | (values.flags & MOVE_MOUNT_BENEATH)
      // All that may fail comes before it: a call that fails has moved nothing.
      const [status, created] = [fstat(locked), manifestEntry(mount, target, state)]
      caller.assertAlive()
      caller.inMountNamespace(() => caller.act(ADMIN, undefined, () => move_mount(locked, '', target, '', flags)))
      state.emulated.add(status)
      closeQuietly(mount.tree)
      mount.tree = undefined
      state.contexts.wasMoved(mount)
      return attached(values.from_dirfd, locked, created, caller)
    } finally {
      closeQuietly(locked)
    }
  })
}

function openTarget({to_dirfd: dirfd, to_path: path, flags}: MoveMountValues, caller: Caller): number {
  if (path === null) throw new SystemError('move_mount', ERRNO.EFAULT)
  if (isUnread(path)) throw new SystemError('move_mount', path.errno)
  if (path.length === 0 && (flags & MOVE_MOUNT_T_EMPTY_PATH) === 0) throw new SystemError('move_mount', ERRNO.ENOENT)
  return caller.openPath(dirfd, path, {follow: (flags & MOVE_MOUNT_T_SYMLINKS) !== 0})
}

/** A locked copy; the mount itself stays, so that the call may be made once more after it has failed. */
function lock(mount: FsContext, tree: number, {privateNamespace, own}: MountState): number {
  const attributes = unlockedOf(tree)
  own.with(ADMIN, () => mount_setattr(tree, '', AT_EMPTY_PATH, {clear: UNLOCKED_ATTRIBUTES}))
  mount.tree = undefined
  const {locked, spare} = privateNamespace.lockKeeping(tree, attributes)
  mount.tree = spare
  try {
    const {propagation} = mount
    own.with(ADMIN, () => {
      mount_setattr(spare, '', AT_EMPTY_PATH, {set: attributes})
      if (propagation !== 0) mount_setattr(locked, '', AT_EMPTY_PATH, {propagation})
    })
    return locked
  } catch (error) {
    closeQuietly(locked)
    throw error
  }
}

function unlockedOf(tree: number): number {
  const {flags} = fstatfs(tree)
  return (
    ((flags & ST_RDONLY) === 0 ? 0 : MOUNT_ATTR_RDONLY) |
    ((flags & ST_NOEXEC) === 0 ? 0 : MOUNT_ATTR_NOEXEC) |
    ((flags & ST_NOSYMFOLLOW) === 0 ? 0 : MOUNT_ATTR_NOSYMFOLLOW)
  )
}

/**
 * Programs go on with the descriptor of what they have mounted: in place of the stand-in they get the root of the mount,
 * open as they may open it themselves. Where they may not, the stand-in stays.
 */
function attached(at: number, locked: number, created: ManifestEntry, caller: Caller): Performed {
  try {
    const fd = caller.act(0n, locked, () => openat(locked, '.', O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0))
    const closeOnExec = (descriptorFlags(caller.tid, at) & O_CLOEXEC) !== 0
    return {kind: 'replaced', fd, at, closeOnExec, strategy: STRATEGY, created}
  } catch (error) {
    if (!(error instanceof SystemError)) throw error
    return {kind: 'done', value: 0, strategy: STRATEGY, created}
  }
}

function manifestEntry(mount: FsContext, target: number, state: MountState): ManifestEntry {
  const type = typeOf(mount, state)
  return {
    kind: 'mount',
    path: pathOfDescriptor(target),
    strategy: STRATEGY,
    type: type === undefined ? undefined : Buffer.from(type),
    source: mount.source ?? undefined,
  }
}
