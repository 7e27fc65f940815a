// Where mounts for containers are made: a mount namespace of the supervisor's own that shows nothing but what was checked.

import {spawnSync} from 'node:child_process'

import {receiveDescriptors, socketPair} from '../../../ffi/descriptors.js'
import {SystemError, isSystemError} from '../../../ffi/errors.js'
import {
  cString,
  chroot,
  close,
  closeQuietly,
  fchdir,
  mkdirat,
  mknodat,
  mount,
  openat,
  setns,
  umount2,
  unlinkat,
  unshare,
} from '../../../ffi/libc.js'
import {fsconfig, fsmount, fsopen, mount_setattr, move_mount, open_tree} from '../../../ffi/mount.js'
import {CAP, capabilityMask} from '../../../kernel/capabilities.js'
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  CLONE_NEWNS,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  O_RDONLY,
  S_IFBLK,
  S_IFCHR,
} from '../../../kernel/constants.js'
import {encodeDevice} from '../../../kernel/device-numbers.js'
import type {Device} from '../../../kernel/device-numbers.js'
import {ERRNO} from '../../../kernel/errno.js'
import {
  FSCONFIG_CMD_CREATE,
  FSCONFIG_SET_STRING,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  MOUNT_ATTR_IDMAP,
  MOVE_MOUNT_F_EMPTY_PATH,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
} from '../../../kernel/names/mount-api.js'
import {MNT_DETACH, MS_REC, MS_SLAVE} from '../../../kernel/names/mount.js'
import {helperPath} from '../../../native-helper.js'
import {giveBack} from '../../caller/give-back.js'
import type {OwnCapabilities} from '../../caller/own-capabilities.js'
import {LOCKED_FLAGS, UNLOCKED_ATTRIBUTES, mountAttributes} from './flags.js'

const MAKING = capabilityMask(CAP.SYS_ADMIN, CAP.SYS_CHROOT, CAP.DAC_READ_SEARCH, CAP.MKNOD)
/** Not in the root, where the names of sources are. */
const SITE = '/.interceptor'
const PLACE = `${SITE}/m`
const NODE = `${SITE}/node`
const LOCK_TIMEOUT_MS = 20_000

export interface MountRequest {
  readonly type: Buffer
  /** As the caller wrote it: /proc/mounts shows it so. */
  readonly source: Buffer | null
  /** What `source` leads to, already checked; undefined for file systems without a device. */
  readonly device: Device | undefined
  /** MS_*, without the magic number. */
  readonly flags: number
  readonly data: Buffer | null
  /** Descriptor of the user namespace whose ids the mount is to show. */
  readonly idmap: number | undefined
}

/** A context of the new mount calls; the rest as above. */
export interface ContextRequest extends Pick<MountRequest, 'device' | 'source'> {
  readonly context: number
  readonly command: number
}

export interface MadeMount {
  /** A detached mount, locked; to be moved to its place and closed. */
  readonly tree: number
  /** False where ids were to be mapped and this file system can't. */
  readonly isShifted: boolean
}

interface Home {
  readonly namespace: number
  readonly root: number
  readonly cwd: number
}

/** For one worker thread, which must have its own root and working directory (CLONE_FS). */
export class PrivateMountNamespace {
  readonly #own: OwnCapabilities
  #home: Home | undefined
  #namespace: number | undefined

  constructor(own: OwnCapabilities) {
    this.#own = own
  }

  /** Mounts with the supervisor's rights, by mount(2) itself, so that flags, options and errors are the kernel's. */
  mount({type, source, device, flags, data, idmap}: MountRequest): MadeMount {
    let isShifted = idmap !== undefined
    this.#inside(() => {
      const shown = source === null ? null : device === undefined ? source : placeNode(source, device)
      try {
        mount(orNull(shown), PLACE, cString(type), (flags | LOCKED_FLAGS) >>> 0, orNull(data))
      } finally {
        if (device !== undefined && shown !== null) removeNode(shown)
      }
      try {
        if (idmap !== undefined) isShifted = shift(idmap)
        // Locked flags are for good; these are the container's to change later.
        mount_setattr(AT_FDCWD, PLACE, 0, {clear: UNLOCKED_ATTRIBUTES})
      } catch (error) {
        umount2(PLACE, MNT_DETACH)
        throw error
      }
    })
    return {tree: this.#lock(mountAttributes(flags)), isShifted}
  }

  /** Locks a detached mount that was made elsewhere, with MOUNT_ATTR_NOSUID and NODEV on it; takes the descriptor over. */
  lock(tree: number, flags: number): number {
    this.#inside(() => {
      try {
        move_mount(tree, '', AT_FDCWD, PLACE, MOVE_MOUNT_F_EMPTY_PATH)
      } finally {
        closeQuietly(tree)
      }
    })
    return this.#lock(mountAttributes(flags))
  }

  /**
   * The same, with a copy that is not locked, from which another one can be locked later: access times are locked too
   * (lock_mnt_tree() in fs/namespace.c), and can't be changed afterwards. `attributes`: MOUNT_ATTR_*.
   */
  lockKeeping(tree: number, attributes: number): {readonly locked: number; readonly spare: number} {
    const spare = this.#inside(() => {
      try {
        move_mount(tree, '', AT_FDCWD, PLACE, MOVE_MOUNT_F_EMPTY_PATH)
      } finally {
        closeQuietly(tree)
      }
      try {
        return open_tree(AT_FDCWD, PLACE, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)
      } catch (error) {
        umount2(PLACE, MNT_DETACH)
        throw error
      }
    })
    try {
      return {locked: this.#lock(attributes), spare}
    } catch (error) {
      closeQuietly(spare)
      throw error
    }
  }

  /** Makes the file system of a context that was opened elsewhere. `command`: FSCONFIG_CMD_CREATE or its like. */
  create({context, source, device, command}: ContextRequest): void {
    this.#inside(() => {
      const shown = source === null || device === undefined ? source : placeNode(source, device)
      try {
        if (shown !== null) fsconfig(context, FSCONFIG_SET_STRING, 'source', cString(shown), 0)
        fsconfig(context, command, null, null, 0)
      } finally {
        if (device !== undefined && shown !== null) removeNode(shown)
      }
    })
  }

  /** Opens a device of the host by its number alone. */
  openDevice(device: Device, flags: number): number {
    return this.#inside(() => {
      makeNode(Buffer.from(NODE), device)
      try {
        return openat(AT_FDCWD, NODE, flags | O_CLOEXEC, 0)
      } finally {
        unlinkat(AT_FDCWD, NODE, 0)
      }
    })
  }

  /** Of the mount at PLACE, which is gone from there afterwards. */
  #lock(attributes: number): number {
    let tree: number | undefined
    try {
      tree = lockedCopy(this.#opened())
      const locked = tree
      const set = attributes & UNLOCKED_ATTRIBUTES
      if (set !== 0) this.#own.with(MAKING, () => mount_setattr(locked, '', AT_EMPTY_PATH, {set}))
      return tree
    } catch (error) {
      if (tree !== undefined) closeQuietly(tree)
      throw error
    } finally {
      this.#inside(() => umount2(PLACE, MNT_DETACH))
    }
  }

  #opened(): number {
    if (this.#namespace === undefined) throw new RangeError('nothing was mounted yet')
    return this.#namespace
  }

  #inside<T>(action: () => T): T {
    return this.#own.with(MAKING, () => {
      const home = (this.#home ??= openHome())
      try {
        if (this.#namespace === undefined) this.#namespace = build()
        else setns(this.#namespace, CLONE_NEWNS)
        return action()
      } finally {
        // setns(2) leaves the thread at the root of the namespace, which need not be where it stood.
        giveBack('a mount namespace', () => {
          setns(home.namespace, CLONE_NEWNS)
          fchdir(home.root)
          chroot('.')
          fchdir(home.cwd)
        })
      }
    })
  }
}

function openHome(): Home {
  return {
    namespace: openat(AT_FDCWD, '/proc/thread-self/ns/mnt', O_RDONLY | O_CLOEXEC, 0),
    root: openat(AT_FDCWD, '/', O_PATH | O_DIRECTORY | O_CLOEXEC, 0),
    cwd: openat(AT_FDCWD, '.', O_PATH | O_DIRECTORY | O_CLOEXEC, 0),
  }
}

/** An empty tmpfs over the root of a copy of this thread's mount namespace, in which the thread stands afterwards. */
function build(): number {
  const namespaces = openat(AT_FDCWD, '/proc/thread-self/ns', O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
  try {
    unshare(CLONE_NEWNS)
    // Follows unmounts of the host, so that the copy keeps no file system busy; passes nothing on to it.
    mount(null, '/', null, MS_REC | MS_SLAVE, null)
    const root = makeRoot()
    try {
      move_mount(root, '', AT_FDCWD, '/', MOVE_MOUNT_F_EMPTY_PATH)
      fchdir(root)
      chroot('.')
    } finally {
      closeQuietly(root)
    }
    mkdirat(AT_FDCWD, SITE, 0o700)
    mkdirat(AT_FDCWD, PLACE, 0o700)
    return openat(namespaces, 'mnt', O_RDONLY | O_CLOEXEC, 0)
  } finally {
    closeQuietly(namespaces)
  }
}

/** Its super block is of the initial user namespace, so that device nodes on it can be mounted from. */
function makeRoot(): number {
  const context = fsopen('tmpfs', FSOPEN_CLOEXEC)
  try {
    for (const [key, value] of [
      ['source', 'interceptor'],
      ['size', '1m'],
      ['mode', '0700'],
    ] as const) {
      fsconfig(context, FSCONFIG_SET_STRING, key, cString(value), 0)
    }
    fsconfig(context, FSCONFIG_CMD_CREATE, null, null, 0)
    return fsmount(context, FSMOUNT_CLOEXEC, 0)
  } finally {
    closeQuietly(context)
  }
}

/** False where the file system can't show other ids. */
function shift(userNamespace: number): boolean {
  const tree = open_tree(AT_FDCWD, PLACE, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)
  try {
    mount_setattr(tree, '', AT_EMPTY_PATH, {set: MOUNT_ATTR_IDMAP, userNamespace})
    umount2(PLACE, MNT_DETACH)
    move_mount(tree, '', AT_FDCWD, PLACE, MOVE_MOUNT_F_EMPTY_PATH)
    return true
  } catch (error) {
    if (isSystemError(error, ERRNO.EINVAL)) return false
    throw error
  } finally {
    closeQuietly(tree)
  }
}

/** A copy of the mount at PLACE whose flags are locked, made by interceptor-init in a user namespace of its own. */
function lockedCopy(namespace: number): number {
  const [ours, theirs] = socketPair()
  try {
    let status: number | null
    try {
      const helper = spawnSync(helperPath(), ['lock', PLACE], {
        stdio: ['ignore', 'ignore', 'ignore', theirs, namespace],
        cwd: '/',
        env: {},
        timeout: LOCK_TIMEOUT_MS,
        killSignal: 'SIGKILL',
      })
      if (helper.error !== undefined) throw helper.error
      status = helper.status
    } finally {
      close(theirs)
    }
    if (status !== 0) throw new SystemError('unshare', status ?? ERRNO.EIO)
    const [tree] = receiveDescriptors(ours, 1).descriptors
    if (tree === undefined) throw new SystemError('recvmsg', ERRNO.EIO)
    return tree
  } finally {
    closeQuietly(ours)
  }
}

function nodeType({type}: Device): number {
  return (type === 'b' ? S_IFBLK : S_IFCHR) | 0o600
}

/** The device under the caller's name for it, or under a plain one where that is not possible. Gives the name. */
function placeNode(source: Buffer, device: Device): Buffer {
  try {
    makeDirectories(source)
    makeNode(source, device)
    return source
  } catch (error) {
    // `.`, `..`, a name too long for a tmpfs: the mount works all the same, and shows another source.
    if (!(error instanceof SystemError)) throw error
    const plain = Buffer.from(NODE)
    makeNode(plain, device)
    return plain
  }
}

/** Nobody else makes anything here: what has the name was left by a removal that failed, and may be another device. */
function makeNode(path: Buffer, device: Device): void {
  const make = (): number => mknodat(AT_FDCWD, path, nodeType(device), encodeDevice(device))
  try {
    make()
  } catch (error) {
    if (!isSystemError(error, ERRNO.EEXIST)) throw error
    unlinkat(AT_FDCWD, path, 0)
    make()
  }
}

function makeDirectories(path: Buffer): void {
  for (let slash = path.indexOf('/', 1); slash !== -1; slash = path.indexOf('/', slash + 1)) {
    try {
      mkdirat(AT_FDCWD, path.subarray(0, slash), 0o700)
    } catch (error) {
      if (!isSystemError(error, ERRNO.EEXIST)) throw error
    }
  }
}

/** With the directories that were made for it. */
function removeNode(path: Buffer): void {
  unlinkat(AT_FDCWD, path, 0)
  for (let slash = path.lastIndexOf('/'); slash > 0; slash = path.lastIndexOf('/', slash - 1)) {
    try {
      unlinkat(AT_FDCWD, path.subarray(0, slash), 0x200)
    } catch (error) {
      if (error instanceof SystemError) return
      throw error
    }
  }
}

function orNull(bytes: Buffer | null): Buffer | null {
  return bytes === null ? null : cString(bytes)
}
