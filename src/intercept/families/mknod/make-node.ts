// Makes a device node in a caller's place: a real one where it could be opened, else one bound over a placeholder.

import {getfsuid, setfsuid} from '../../../ffi/credentials.js'
import {SystemError, isSystemError} from '../../../ffi/errors.js'
import {close, closeQuietly, mknodat, openat, readlinkat, unlinkat} from '../../../ffi/libc.js'
import {fstat, move_mount, statx} from '../../../ffi/mount.js'
import type {Statx} from '../../../ffi/mount.js'
import {CAP, capabilityMask} from '../../../kernel/capabilities.js'
import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  OVERFLOW_ID,
  O_CLOEXEC,
  O_CREAT,
  O_EXCL,
  O_NOATIME,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  PATH_MAX,
  PERMISSIONS,
  S_IFREG,
} from '../../../kernel/constants.js'
import {nameDevice, sameDevice} from '../../../kernel/device-numbers.js'
import type {Device} from '../../../kernel/device-numbers.js'
import {ERRNO} from '../../../kernel/errno.js'
import {MOVE_MOUNT_F_EMPTY_PATH, MOVE_MOUNT_T_EMPTY_PATH} from '../../../kernel/names/mount-api.js'
import {idInside} from '../../caller/id-map.js'
import type {OwnCapabilities} from '../../caller/own-capabilities.js'
import {procDirectory} from '../../caller/proc.js'
import type {ContainerDescription} from '../../container.js'
import type {Caller, ManifestEntry, ParentDirectory, Performed} from '../../family.js'
import {BOUND_NODES_MAX, inodeKey, manifestEntry} from './bound-nodes.js'
import type {BoundNode, BoundNodes} from './bound-nodes.js'
import {cloneHostNode, deviceOf} from './host-node.js'
import {NodeRecord, RECORDS_MAX, writeRecord} from './node-record.js'
import type {NodeStore} from './node-store.js'

const OPENABLE_MAX = 1024
const MKNOD = capabilityMask(CAP.MKNOD)
const MOUNT = capabilityMask(CAP.SYS_ADMIN)
const READ = capabilityMask(CAP.DAC_READ_SEARCH)

/** What is left of a node that one call makes and another removes at once. */
const REMOVED_MEANWHILE: Performed = {
  kind: 'done',
  value: 0,
  strategy: 'bind',
  reason: 'another call removed the node at once',
}

/** What the calls of the family share in one worker. */
export interface MknodState {
  readonly own: OwnCapabilities
  readonly store: NodeStore
  readonly bound: BoundNodes
  readonly container: ContainerDescription
  /** Mounts on which a device node could be opened, with their super blocks. */
  readonly openable: Set<string>
}

export interface NodeRequest {
  readonly device: Device
  /** As the caller passed them. */
  readonly mode: number
  readonly dev: number
}

/** A real node; undefined where one can't be made or could not be opened there, and nothing is left behind. */
export function makeRealNode(
  request: NodeRequest,
  caller: Caller,
  state: MknodState,
  parent: ParentDirectory,
): Performed | undefined {
  let status: Statx | undefined
  try {
    status = caller.act(MKNOD, parent.fd, () => {
      mknodat(parent.fd, nameWithSlash(parent), request.mode, request.dev)
      return quietly(() => statx(parent.fd, parent.name, AT_SYMLINK_NOFOLLOW))
    })
  } catch (error) {
    // The file system has no device nodes, or leaves them to its own namespace. Every other errno is the answer.
    if (isSystemError(error, ERRNO.EPERM)) return undefined
    throw error
  }
  // The container may have put something else there by now; that is its own affair.
  if (status === undefined || !sameDevice(deviceOf(status), request.device)) {
    return {kind: 'done', value: 0, strategy: 'node'}
  }
  let isOpenable = false
  try {
    isOpenable = opensDevices(status, caller, state, parent)
  } finally {
    // A call that fails half-way has made nothing.
    if (!isOpenable) caller.act(0n, parent.fd, () => unlinkat(parent.fd, parent.name, 0))
  }
  if (!isOpenable) return undefined
  const made = status
  return {kind: 'done', value: 0, strategy: 'node', created: () => nodeEntry(request, made, state, parent)}
}

/**
 * Whether the node that was just made could be opened. That goes by mount and super block, so it is tried once for each
 * pair; were both numbers used again for others, the node would be the one that the kernel makes for root there.
 */
function opensDevices(made: Statx, caller: Caller, {own, openable}: MknodState, parent: ParentDirectory): boolean {
  const key = `${made.mountId}:${made.devMajor}:${made.devMinor}`
  if (openable.has(key)) return true
  const fd = caller.act(0n, parent.fd, () =>
    quietly(() => openat(parent.fd, parent.name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0)),
  )
  if (fd === undefined) return true
  try {
    const status = fstat(fd)
    if (inodeKey(status) !== inodeKey(made)) return true
    caller.beSupervisor()
    if (!couldBeOpened(fd, status, own)) return false
  } finally {
    closeQuietly(fd)
  }
  if (openable.size >= OPENABLE_MAX) openable.clear()
  openable.add(key)
  return true
}

function quietly<T>(action: () => T): T | undefined {
  try {
    return action()
  } catch (error) {
    if (error instanceof SystemError) return undefined
    throw error
  }
}

/** A node over a new empty file; with `rootless` the host's own, or nothing but the record of what was asked for. */
export function bindNode(request: NodeRequest, caller: Caller, state: MknodState, parent: ParentDirectory): Performed {
  const {bound, container} = state
  if (bound.full) {
    return {kind: 'refuse', errno: ERRNO.ENOSPC, reason: `${BOUND_NODES_MAX} emulated nodes are bound already`}
  }
  const placeholder = makePlaceholder(request.mode, caller, parent)
  let stored: string | undefined
  let tree: number | undefined
  let node: BoundNode | undefined
  try {
    const file = fstat(placeholder)
    if (container.rootless) tree = cloneHostNode(request.device, state.own)
    else {
      stored = state.store.create(request.device, file)
      tree = state.store.clone(stored)
    }
    const shown = tree === undefined ? undefined : fstat(tree)
    const made = boundNode(request.device, file, shown, stored, container, pathOf(parent))
    node = recorded(made, placeholder, state)
    // Last of all: what is mounted over the placeholder could only be removed with it by its own name.
    if (tree !== undefined && !attachOver(tree, placeholder, caller)) return forget(node, state)
    bound.add(node)
    const reason = tree === undefined ? {reason: `an empty file stands for ${nameDevice(request.device)}`} : {}
    return {kind: 'done', value: 0, strategy: node.strategy, created: manifestEntry(node), ...reason}
  } catch (error) {
    removeQuietly(caller, parent, placeholder)
    node?.record?.close()
    if (stored !== undefined) state.store.remove(stored)
    throw error
  } finally {
    if (tree !== undefined) closeQuietly(tree)
    closeQuietly(placeholder)
  }
}

/** Another name for a bound node: one more link of the node, or one more mount of the host's. */
export function linkBoundNode(node: BoundNode, caller: Caller, state: MknodState, parent: ParentDirectory): Performed {
  const {bound, container, store, own} = state
  if (bound.full) {
    return {kind: 'refuse', errno: ERRNO.ENOSPC, reason: `${BOUND_NODES_MAX} emulated nodes are bound already`}
  }
  const placeholder = makePlaceholder(node.mode, caller, parent)
  let stored: string | undefined
  let tree: number | undefined
  let link: BoundNode | undefined
  try {
    if (node.stored !== undefined) {
      stored = store.link(node.stored)
      tree = store.clone(stored)
    } else if (node.strategy === 'bind') tree = cloneHostNode(node.device, own)
    const shown = tree === undefined ? undefined : fstat(tree)
    const made = boundNode(node.device, fstat(placeholder), shown, stored, container, pathOf(parent))
    link = recorded({...made, mode: node.mode, uid: node.uid, gid: node.gid}, placeholder, state)
    if (tree !== undefined && !attachOver(tree, placeholder, caller)) return forget(link, state)
    bound.add(link)
    return {
      kind: 'done',
      value: 0,
      strategy: link.strategy,
      reason: 'one more link to an emulated node',
      created: manifestEntry(link),
    }
  } catch (error) {
    removeQuietly(caller, parent, placeholder)
    link?.record?.close()
    if (stored !== undefined) store.remove(stored)
    throw error
  } finally {
    if (tree !== undefined) closeQuietly(tree)
    closeQuietly(placeholder)
  }
}

/** From now on the node is known. */
export function addRecorded(node: BoundNode, placeholder: number, state: MknodState): BoundNode {
  const kept = recorded(node, placeholder, state)
  state.bound.add(kept)
  return kept
}

/**
 * The node of a rootless supervisor, recorded with its placeholder. The nodes of a privileged one are bound only where the
 * file system is the container's own, or opens no devices for anybody.
 */
function recorded(node: BoundNode, placeholder: number, {bound, container, own}: MknodState): BoundNode {
  if (!container.rootless) return node
  const kept = bound.size < RECORDS_MAX ? {...node, record: new NodeRecord(placeholder, own)} : node
  writeRecord(placeholder, kept, own)
  return kept
}

/** Of a node that another call removed before it was there. */
function forget({record, stored}: BoundNode, {store}: MknodState): Performed {
  record?.close()
  if (stored !== undefined) store.remove(stored)
  return REMOVED_MEANWHILE
}

/** With the slash that the caller wrote, about which the kernel has its own errors. */
export function nameWithSlash({name, trailingSlash}: ParentDirectory): Buffer {
  return trailingSlash ? Buffer.concat([name, Buffer.from('/')]) : name
}

/** As the container's own root sees it, also where the caller has another one. */
export function pathOf({fd, name}: ParentDirectory): Buffer {
  const bytes = Buffer.allocUnsafe(PATH_MAX)
  let directory: Buffer
  try {
    directory = bytes.subarray(0, readlinkat(procDirectory(), `self/fd/${fd}`, bytes, PATH_MAX))
  } catch (error) {
    // d_path() gives up where the path is longer than a page.
    if (isSystemError(error, ERRNO.ENAMETOOLONG)) return name
    throw error
  }
  return Buffer.concat(directory.length === 1 ? [directory, name] : [directory, Buffer.from('/'), name])
}

/**
 * A new file with the caller's rights: O_EXCL, so that the descriptor is of the file that was made and of no other.
 * Where the name can't be that of a new file, the error is the one that mknod(2) has for it.
 */
function makePlaceholder(mode: number, caller: Caller, parent: ParentDirectory): number {
  const {fd, name, trailingSlash} = parent
  return caller.act(0n, fd, () => {
    if (trailingSlash || name.equals(Buffer.from('.')) || name.equals(Buffer.from('..'))) {
      mknodat(fd, nameWithSlash(parent), S_IFREG, 0)
      throw new SystemError('mknodat', ERRNO.EEXIST)
    }
    return openat(fd, name, O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode & PERMISSIONS)
  })
}

/**
 * Mounts `tree` over the placeholder. False where somebody of the container removed its last name meanwhile: nothing can
 * be mounted there (ENOENT, d_unlinked() in fs/namespace.c), and nothing is left of it.
 */
function attachOver(tree: number, placeholder: number, caller: Caller): boolean {
  const flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH
  try {
    caller.inMountNamespace(() => caller.act(MOUNT, undefined, () => move_mount(tree, '', placeholder, '', flags)))
    return true
  } catch (error) {
    if (isSystemError(error, ERRNO.ENOENT) && fstat(placeholder).nlink === 0) return false
    throw error
  }
}

/** Removes the placeholder, and nothing that has its name by now. The first failure is the one that is reported. */
function removeQuietly(caller: Caller, {fd, name}: ParentDirectory, placeholder: number): void {
  quietly(() => {
    const inode = inodeKey(fstat(placeholder))
    caller.act(0n, fd, () => {
      if (inodeKey(statx(fd, name, AT_SYMLINK_NOFOLLOW)) === inode) unlinkat(fd, name, 0)
    })
  })
}

/**
 * Whether mount and super block let device nodes be opened, found out without opening one: may_open() in fs/namei.c
 * looks for that first (EACCES), then at permissions, and last it refuses O_NOATIME to whoever is not the owner (EPERM),
 * all before the driver is asked.
 */
function couldBeOpened(fd: number, {uid}: Statx, own: OwnCapabilities): boolean {
  const flags = O_RDONLY | O_NOATIME | O_NONBLOCK | O_NOCTTY | O_CLOEXEC
  const tryToOpen = (): void => void close(openat(AT_FDCWD, `/proc/self/fd/${fd}`, flags, 0))
  try {
    if (uid === getfsuid()) own.with(READ | capabilityMask(CAP.SETUID), () => asSomeoneElse(uid, tryToOpen))
    else own.with(READ, tryToOpen)
    return true
  } catch (error) {
    if (error instanceof SystemError) return error.errno !== ERRNO.EACCES
    throw error
  }
}

function asSomeoneElse(uid: number, action: () => void): void {
  setfsuid(OVERFLOW_ID)
  try {
    action()
  } finally {
    setfsuid(uid)
  }
}

function nodeEntry(
  {device}: NodeRequest,
  status: Statx,
  {container}: MknodState,
  parent: ParentDirectory,
): ManifestEntry {
  return {
    kind: 'node',
    path: pathOf(parent),
    type: device.type,
    major: device.major,
    minor: device.minor,
    mode: status.mode & PERMISSIONS,
    uid: idInside(container.uidMap, status.uid),
    gid: idInside(container.gidMap, status.gid),
    strategy: 'node',
  }
}

export function boundNode(
  device: Device,
  placeholder: Statx,
  shown: Statx | undefined,
  stored: string | undefined,
  container: ContainerDescription,
  path: Buffer,
): BoundNode {
  return {
    device,
    strategy: shown === undefined ? 'record' : 'bind',
    path,
    mode: placeholder.mode & PERMISSIONS,
    uid: idInside(container.uidMap, placeholder.uid),
    gid: idInside(container.gidMap, placeholder.gid),
    mountId: shown?.mountId,
    inode: inodeKey(shown ?? placeholder),
    ownInode: shown === undefined || stored !== undefined,
    stored,
  }
}
