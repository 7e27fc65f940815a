// chmod, chown and utimens on nodes that a rootless supervisor emulates: what is wanted is kept beside the node.

import {SystemError} from '../../../ffi/errors.js'
import {fchmodat, fchownat, utimensat} from '../../../ffi/libc.js'
import {fstat} from '../../../ffi/mount.js'
import {ABIS} from '../../../kernel/abi.js'
import {CAP, capabilityMask} from '../../../kernel/capabilities.js'
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  PERMISSIONS,
  S_ISGID,
  S_ISUID,
  S_IXGRP,
} from '../../../kernel/constants.js'
import {ERRNO} from '../../../kernel/errno.js'
import {AT_FLAGS} from '../../../kernel/names/files.js'
import {dirFd, flags, int32, mode, path, pointer, uint32} from '../../caller/argument-kinds.js'
import {idInside, idOutside} from '../../caller/id-map.js'
import {defineSyscall} from '../../family.js'
import type {AnyCall, Argument, ArgumentIndex, Caller, Performed} from '../../family.js'
import {manifestEntry} from './bound-nodes.js'
import type {BoundNode} from './bound-nodes.js'
import {NOT_EMULATED, decideFollowUp as decide, precheck} from './follow-up-decide.js'
import type {MknodState} from './make-node.js'
import type {MknodPolicy} from './policy.js'

const CHOWN = capabilityMask(CAP.CHOWN)
const FOWNER = capabilityMask(CAP.FOWNER)
/** (uid_t)-1: leave it as it is. */
const UNCHANGED = 0xffff_ffff

/** An id; the old calls of 32-bit machines pass 16 bits (low2highuid()). */
function id(index: ArgumentIndex, old = false): Argument<number> {
  const plain = uint32(index)
  return {
    ...plain,
    read(registers, memory, abi) {
      const value = plain.read(registers, memory, abi)
      if (!old || ABIS[abi].bits === 64) return value
      return (value & 0xffff) === 0xffff ? UNCHANGED : value & 0xffff
    },
    show: (value) => (value === UNCHANGED ? '-1' : String(value)),
  }
}

/** A path that may be left out, for the calls that then mean the descriptor itself. */
function optionalPath(index: ArgumentIndex): Argument<Buffer | null> {
  const plain = path(index)
  return {
    index,
    read: (registers, memory, abi) => (registers.address(index) === 0 ? null : plain.read(registers, memory, abi)),
    show: (value) => (value === null ? 'NULL' : plain.show(value)),
    json: (value) => (value === null ? null : plain.json(value)),
  }
}

/** What the call names. */
export interface Target {
  readonly fd?: number
  readonly dirfd?: number
  readonly path?: Buffer | null
  /** AT_SYMLINK_NOFOLLOW and AT_EMPTY_PATH. */
  readonly flags?: number
}
interface ModeValues extends Target {
  readonly mode: number
}
interface OwnerValues extends Target {
  readonly uid: number
  readonly gid: number
}

const chmodPart = {
  precheck,
  decide,
  perform: (values: ModeValues, caller: Caller, state: MknodState) => performChmod(values, caller, state),
}
const chownPart = {
  precheck,
  decide,
  perform: (values: OwnerValues, caller: Caller, state: MknodState) => performChown(values, caller, state),
}
const timesPart = {
  precheck,
  decide,
  perform: (values: Target, caller: Caller, state: MknodState) => performTimes(values, caller, state),
}
/** lchown() is the one call of the old ones that does not follow. */
const lchownPart = {
  ...chownPart,
  perform: (values: OwnerValues, caller: Caller, state: MknodState) =>
    performChown({...values, flags: AT_SYMLINK_NOFOLLOW}, caller, state),
}
const pathOwner = {path: path(0), uid: id(1), gid: id(2)}
const oldPathOwner = {path: path(0), uid: id(1, true), gid: id(2, true)}
const atTimes = {dirfd: dirFd(0), path: optionalPath(1), times: pointer(2), flags: flags(3, AT_FLAGS)}

export const attributeCalls: readonly AnyCall<MknodPolicy, MknodState>[] = [
  defineSyscall({name: 'chmod', arguments: {path: path(0), mode: mode(1)}, ...chmodPart}),
  defineSyscall({name: 'fchmod', arguments: {fd: int32(0), mode: mode(1)}, ...chmodPart}),
  defineSyscall({name: 'fchmodat', arguments: {dirfd: dirFd(0), path: path(1), mode: mode(2)}, ...chmodPart}),
  defineSyscall({
    name: 'fchmodat2',
    arguments: {dirfd: dirFd(0), path: path(1), mode: mode(2), flags: flags(3, AT_FLAGS)},
    ...chmodPart,
  }),
  defineSyscall({name: 'chown', arguments: oldPathOwner, ...chownPart}),
  defineSyscall({name: 'chown32', arguments: pathOwner, ...chownPart}),
  defineSyscall({name: 'lchown', arguments: oldPathOwner, ...lchownPart}),
  defineSyscall({name: 'lchown32', arguments: pathOwner, ...lchownPart}),
  defineSyscall({name: 'fchown', arguments: {fd: int32(0), uid: id(1, true), gid: id(2, true)}, ...chownPart}),
  defineSyscall({name: 'fchown32', arguments: {fd: int32(0), uid: id(1), gid: id(2)}, ...chownPart}),
  defineSyscall({
    name: 'fchownat',
    arguments: {dirfd: dirFd(0), path: path(1), uid: id(2), gid: id(3), flags: flags(4, AT_FLAGS)},
    ...chownPart,
  }),
  defineSyscall({name: 'utimensat', arguments: atTimes, ...timesPart}),
  defineSyscall({name: 'utimensat_time64', arguments: atTimes, ...timesPart}),
  defineSyscall({
    name: 'futimesat',
    arguments: {dirfd: dirFd(0), path: optionalPath(1), times: pointer(2)},
    ...timesPart,
  }),
  defineSyscall({name: 'utimes', arguments: {path: path(0), times: pointer(1)}, ...timesPart}),
  defineSyscall({name: 'utime', arguments: {path: path(0), times: pointer(1)}, ...timesPart}),
]

export interface Found {
  readonly node: BoundNode
  /** What the call would act on. */
  readonly fd: number
}

/** undefined where it is no emulated node, or nothing: the kernel then says why. */
export function find(
  {fd, dirfd = AT_FDCWD, path: name, flags: at = 0}: Target,
  caller: Caller,
  state: MknodState,
): Found | undefined {
  try {
    const opened = openTarget(fd, dirfd, name, at, caller)
    if (opened === undefined) return undefined
    const node = state.bound.find(fstat(opened))
    return node && {node, fd: opened}
  } catch (error) {
    if (error instanceof SystemError) return undefined
    throw error
  }
}

function openTarget(
  fd: number | undefined,
  dirfd: number,
  name: Buffer | null | undefined,
  at: number,
  caller: Caller,
): number | undefined {
  if (fd !== undefined) return caller.openDescriptor(fd)
  if (name === null || name === undefined) return caller.openDescriptor(dirfd)
  if (name.length === 0 && (at & AT_EMPTY_PATH) === 0) return undefined
  return caller.openPath(dirfd, name, {follow: (at & AT_SYMLINK_NOFOLLOW) === 0})
}

function performChmod(values: ModeValues, caller: Caller, state: MknodState): Performed {
  const found = find(values, caller, state)
  return found === undefined ? NOT_EMULATED : changeMode(found, values.mode & PERMISSIONS, caller, state)
}

export function changeMode({node, fd}: Found, permissions: number, caller: Caller, state: MknodState): Performed {
  if (!isOwner(node, caller, state)) return refusedByKernelRule(node)
  if (node.mountId === undefined) onPlaceholder(caller, FOWNER, fd, (link) => fchmodat(AT_FDCWD, link, permissions, 0))
  node.mode = permissions
  return recorded(node, 'the mode is kept with the emulated node')
}

function performChown(values: OwnerValues, caller: Caller, state: MknodState): Performed {
  const found = find(values, caller, state)
  if (found === undefined) return NOT_EMULATED
  const {node, fd} = found
  const {uidMap, gidMap} = state.container
  const uid = values.uid === UNCHANGED ? node.uid : values.uid
  const gid = values.gid === UNCHANGED ? node.gid : values.gid
  const outsideUid = idOutside(uidMap, uid)
  const outsideGid = idOutside(gidMap, gid)
  // chown_common(): an id without a mapping is no id.
  if (outsideUid === undefined || outsideGid === undefined) {
    return {kind: 'failed', errno: ERRNO.EINVAL, strategy: node.strategy, reason: 'the container does not have that id'}
  }
  if (!mayChown(node, uid, outsideGid, gid, caller, state)) return refusedByKernelRule(node)
  if (node.mountId === undefined) {
    onPlaceholder(caller, CHOWN | FOWNER, fd, (link) => fchownat(AT_FDCWD, link, outsideUid, outsideGid, 0))
  }
  node.uid = uid
  node.gid = gid
  // What chown(2) takes away from everything that is no directory (setattr_should_drop_suidgid()).
  node.mode &= ~(S_ISUID | (node.mode & S_IXGRP ? S_ISGID : 0))
  return recorded(node, 'the owner is kept with the emulated node')
}

function performTimes(values: Target, caller: Caller, state: MknodState): Performed {
  const found = find(values, caller, state)
  if (found === undefined) return NOT_EMULATED
  const {node, fd} = found
  if (!isOwner(node, caller, state)) return refusedByKernelRule(node)
  if (node.mountId === undefined) onPlaceholder(caller, FOWNER, fd, (link) => utimensat(AT_FDCWD, link, null, 0))
  return {kind: 'done', value: 0, strategy: node.strategy, reason: 'an emulated node keeps no times'}
}

/** inode_owner_or_capable() */
function isOwner(node: BoundNode, {credentials}: Caller, {container}: MknodState): boolean {
  return idInside(container.uidMap, credentials.fsuid) === node.uid || (credentials.effective & FOWNER) !== 0n
}

/** chown_ok() and chgrp_ok() */
function mayChown(
  node: BoundNode,
  uid: number,
  outsideGid: number,
  gid: number,
  caller: Caller,
  state: MknodState,
): boolean {
  const {credentials} = caller
  if ((credentials.effective & CHOWN) !== 0n) return true
  if (idInside(state.container.uidMap, credentials.fsuid) !== node.uid || uid !== node.uid) return false
  return gid === node.gid || outsideGid === credentials.fsgid || credentials.groups.includes(outsideGid)
}

/** A placeholder without a mount is a file like any other, and takes the attributes too. */
function onPlaceholder(caller: Caller, capabilities: bigint, fd: number, action: (link: string) => unknown): void {
  caller.act(capabilities & caller.credentials.effective, undefined, () => action(`/proc/self/fd/${fd}`))
}

function refusedByKernelRule(node: BoundNode): Performed {
  return {kind: 'failed', errno: ERRNO.EPERM, strategy: node.strategy, reason: 'the node belongs to somebody else'}
}

function recorded(node: BoundNode, reason: string): Performed {
  node.record?.write(node)
  return {kind: 'done', value: 0, strategy: 'record', reason, created: manifestEntry(node)}
}
