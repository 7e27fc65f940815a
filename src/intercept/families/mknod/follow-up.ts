// What programs do next with an emulated node: unlink, rename and link it, which the kernel refuses for a mount point.

import {SystemError} from '../../../ffi/errors.js'
import {renameat2, unlinkat} from '../../../ffi/libc.js'
import {fstat, statx} from '../../../ffi/mount.js'
import type {Statx} from '../../../ffi/mount.js'
import {CAP, capabilityMask} from '../../../kernel/capabilities.js'
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_REMOVEDIR,
  AT_SYMLINK_FOLLOW,
  AT_SYMLINK_NOFOLLOW,
  STATX_ATTR_MOUNT_ROOT,
} from '../../../kernel/constants.js'
import {ERRNO} from '../../../kernel/errno.js'
import {AT_FLAGS, RENAME_EXCHANGE, RENAME_FLAGS, RENAME_NOREPLACE} from '../../../kernel/names/files.js'
import {dirFd, flags, path} from '../../caller/argument-kinds.js'
import {isMapped} from '../../caller/id-map.js'
import {defineSyscall} from '../../family.js'
import type {AnyCall, Caller, FamilyOptions, ManifestEntry, ParentDirectory, Performed} from '../../family.js'
import {asStrategy} from '../../strategy.js'
import {accessListCalls} from './acl.js'
import {attributeCalls} from './attributes.js'
import {manifestEntry} from './bound-nodes.js'
import type {BoundNode} from './bound-nodes.js'
import {NOT_EMULATED, decideFollowUp as decide, precheck} from './follow-up-decide.js'
import {linkBoundNode, nameWithSlash, pathOf} from './make-node.js'
import type {MknodState} from './make-node.js'
import type {MknodPolicy} from './policy.js'

const FOWNER = capabilityMask(CAP.FOWNER)

const unlink = defineSyscall({
  name: 'unlink',
  arguments: {path: path(0)},
  precheck,
  decide,
  perform: ({path: name}, caller: Caller, state: MknodState) => performUnlink(AT_FDCWD, name, caller, state),
})

const unlinkatCall = defineSyscall({
  name: 'unlinkat',
  arguments: {dirfd: dirFd(0), path: path(1), flags: flags(2, AT_FLAGS)},
  condition: [[{argument: 2, width: 32, mask: BigInt(AT_REMOVEDIR), operator: 'eq', value: 0n}]],
  precheck,
  decide,
  perform: ({dirfd, path: name}, caller: Caller, state: MknodState) => performUnlink(dirfd, name, caller, state),
})

interface TwoPaths {
  readonly oldDirfd: number
  readonly oldPath: Buffer
  readonly newDirfd: number
  readonly newPath: Buffer
  readonly flags: number
}

const PLAIN = {oldDirfd: AT_FDCWD, newDirfd: AT_FDCWD, flags: 0}
const twoPaths = {oldPath: path(0), newPath: path(1)}
const twoDirectories = {oldDirfd: dirFd(0), oldPath: path(1), newDirfd: dirFd(2), newPath: path(3)}

const rename = defineSyscall({
  name: 'rename',
  arguments: twoPaths,
  precheck,
  decide,
  perform: (values, caller: Caller, state: MknodState) => performRename({...PLAIN, ...values}, caller, state),
})

const renameat = defineSyscall({
  name: 'renameat',
  arguments: twoDirectories,
  precheck,
  decide,
  perform: (values, caller: Caller, state: MknodState) => performRename({flags: 0, ...values}, caller, state),
})

const renameat2Call = defineSyscall({
  name: 'renameat2',
  arguments: {...twoDirectories, flags: flags(4, RENAME_FLAGS)},
  precheck,
  decide,
  perform: performRename,
})

const link = defineSyscall({
  name: 'link',
  arguments: twoPaths,
  precheck,
  decide,
  perform: (values, caller: Caller, state: MknodState) => performLink({...PLAIN, ...values}, caller, state),
})

const linkat = defineSyscall({
  name: 'linkat',
  arguments: {...twoDirectories, flags: flags(4, AT_FLAGS)},
  precheck,
  decide,
  perform: performLink,
})

/** The last component of a path: where it is, what is there now, and whether that is an emulated node. */
interface Place {
  readonly parent: ParentDirectory
  readonly status: Statx | undefined
  readonly node: BoundNode | undefined
}

/** undefined where the path leads nowhere: the kernel then says why. */
function locate(dirfd: number, name: Buffer, caller: Caller, state: MknodState): Place | undefined {
  try {
    const parent = caller.openParent(dirfd, name)
    const status = statusOf(parent, caller)
    return {parent, status, node: status && state.bound.find(status)}
  } catch (error) {
    if (error instanceof SystemError) return undefined
    throw error
  }
}

function statusOf(parent: ParentDirectory, caller: Caller): Statx | undefined {
  try {
    return caller.act(0n, parent.fd, () => statx(parent.fd, parent.name, AT_SYMLINK_NOFOLLOW))
  } catch (error) {
    if (error instanceof SystemError && error.errno === ERRNO.ENOENT) return undefined
    throw error
  }
}

function performUnlink(dirfd: number, name: Buffer, caller: Caller, state: MknodState): Performed {
  const place = locate(dirfd, name, caller, state)
  if (place?.node === undefined) return NOT_EMULATED
  const {parent, node} = place
  const {strategy} = node
  return asStrategy(strategy, () => {
    // Here the placeholder is no mount point, and removing it takes the mount away everywhere (detach_mounts()).
    caller.act(ownerRights(caller), parent.fd, () => unlinkat(parent.fd, nameWithSlash(parent), 0))
    forget(node, state)
    const created = manifestEntry(node, {removed: true})
    return {kind: 'done', value: 0, strategy, reason: 'an emulated node was removed', created}
  })
}

function performRename(values: TwoPaths, caller: Caller, state: MknodState): Performed {
  const from = locate(values.oldDirfd, values.oldPath, caller, state)
  const to = locate(values.newDirfd, values.newPath, caller, state)
  if (from === undefined || to === undefined) return NOT_EMULATED
  const node = from.node ?? to.node
  if (node === undefined) return NOT_EMULATED
  const {strategy} = node
  // Here no mount of the container is in the way, so what the kernel would say of one that is not ours is said here.
  if (isForeignMount(from) || isForeignMount(to)) {
    return {kind: 'failed', errno: ERRNO.EBUSY, strategy, reason: 'the other path is a mount point'}
  }
  if (areLinksToOne(from, to) && (values.flags & (RENAME_EXCHANGE | RENAME_NOREPLACE)) === 0) {
    return {kind: 'done', value: 0, strategy, reason: 'both are links to one node'}
  }
  return asStrategy(strategy, () => {
    const [source, target] = [nameWithSlash(from.parent), nameWithSlash(to.parent)]
    const move = (): number => renameat2(from.parent.fd, source, to.parent.fd, target, values.flags)
    caller.act(renameRights(from, to, caller, state), directoryForRename(from, to, state), move)
    // To its own name: nothing was replaced.
    if (from.node === to.node) return {kind: 'done', value: 0, strategy, reason: 'an emulated node keeps its name'}
    const created = noteRename(from, to, values.flags, state)
    return {kind: 'done', value: 0, strategy, reason: 'an emulated node was renamed or replaced', created}
  })
}

/** What the manifest is told: the entry of the old path, with where it went (src/render/manifest.ts). */
function noteRename(from: Place, to: Place, renameFlags: number, state: MknodState): ManifestEntry {
  const [source, target] = [pathOf(from.parent), pathOf(to.parent)]
  if ((renameFlags & RENAME_EXCHANGE) !== 0) {
    const node = (from.node ?? to.node)!
    const told = manifestEntry(node, {movedTo: from.node === undefined ? source : target, exchanged: true})
    if (to.node !== undefined) to.node.path = source
    if (from.node !== undefined) from.node.path = target
    return told
  }
  if (to.node !== undefined) forget(to.node, state)
  if (from.node === undefined) return manifestEntry(to.node!, {removed: true})
  const told = manifestEntry(from.node, {movedTo: target})
  from.node.path = target
  return told
}

function performLink(values: TwoPaths, caller: Caller, state: MknodState): Performed {
  const from = linkSource(values, caller, state)
  if (from === undefined) return NOT_EMULATED
  const {node, status} = from
  const {strategy} = node
  return asStrategy(strategy, () => {
    const parent = caller.openParent(values.newDirfd, values.newPath)
    // vfs_link() and may_linkat(): across mounts, and with protected_hardlinks devices are for their owner.
    if (from.parentMount !== undefined && from.parentMount !== fstat(parent.fd).mountId) {
      return {kind: 'failed', errno: ERRNO.EXDEV, strategy}
    }
    if (status.uid !== caller.credentials.fsuid && (caller.credentials.effective & FOWNER) === 0n) {
      return {kind: 'failed', errno: ERRNO.EPERM, strategy, reason: 'the node belongs to somebody else'}
    }
    return linkBoundNode(node, caller, state, parent)
  })
}

interface LinkSource {
  readonly node: BoundNode
  readonly status: Statx
  readonly parentMount: number | undefined
}

function linkSource(values: TwoPaths, caller: Caller, state: MknodState): LinkSource | undefined {
  if ((values.flags & (AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) === 0) {
    const place = locate(values.oldDirfd, values.oldPath, caller, state)
    if (place?.node === undefined || place.status === undefined) return undefined
    return {node: place.node, status: place.status, parentMount: fstat(place.parent.fd).mountId}
  }
  try {
    const fd = caller.openPath(values.oldDirfd, values.oldPath, {follow: (values.flags & AT_SYMLINK_FOLLOW) !== 0})
    const status = fstat(fd)
    const node = state.bound.find(status)
    return node && {node, status, parentMount: undefined}
  } catch (error) {
    if (error instanceof SystemError) return undefined
    throw error
  }
}

function forget(node: BoundNode, state: MknodState): void {
  state.bound.remove(node)
  if (node.stored !== undefined) state.store.remove(node.stored)
}

function isForeignMount({node, status}: Place): boolean {
  return node === undefined && status !== undefined && (status.attributes & STATX_ATTR_MOUNT_ROOT) !== 0
}

/** rename(2) does nothing for two links to one file; the placeholders are two files. */
function areLinksToOne({node: one}: Place, {node: other}: Place): boolean {
  return one !== undefined && other !== undefined && one !== other && one.ownInode && one.inode === other.inode
}

/** CAP_FOWNER counts in directories with the sticky bit; our placeholders belong to ids of the container. */
function ownerRights(caller: Caller): bigint {
  return caller.credentials.effective & FOWNER
}

/** Not where the other file belongs to an id that the container does not have (capable_wrt_inode_uidgid()). */
function renameRights(from: Place, to: Place, caller: Caller, state: MknodState): bigint {
  const areMapped = [from, to].every(
    ({node, status}) => node !== undefined || status === undefined || isOfContainer(status, state),
  )
  return areMapped ? ownerRights(caller) : 0n
}

/** DAC capabilities may help only where both directories are the container's. */
function directoryForRename(from: Place, to: Place, state: MknodState): number | undefined {
  return isOfContainer(fstat(to.parent.fd), state) ? from.parent.fd : undefined
}

function isOfContainer({uid, gid}: Statx, {container}: MknodState): boolean {
  return isMapped(container.uidMap, uid) && isMapped(container.gidMap, gid)
}

/**
 * Calls on nodes that exist only as mounts; while there are none, nothing is read of the caller. The mounts of a
 * privileged supervisor are nodes with an owner and a mode of their own, which the kernel changes natively.
 */
export function followUpCalls(
  _policy: MknodPolicy,
  {rootless}: FamilyOptions,
): readonly AnyCall<MknodPolicy, MknodState>[] {
  const calls = [unlink, unlinkatCall, rename, renameat, renameat2Call, link, linkat]
  return rootless ? [...calls, ...attributeCalls, ...accessListCalls] : calls
}
