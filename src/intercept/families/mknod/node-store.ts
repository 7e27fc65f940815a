// Device nodes of the supervisor's own, in a tmpfs that nothing else can reach, to be bound into containers.

import {isSystemError} from '../../../ffi/errors.js'
import {
  cString,
  chroot,
  closeQuietly,
  fchdir,
  fchmodat,
  fchownat,
  linkat,
  mknodat,
  mount,
  openat,
  setns,
  unlinkat,
  unshare,
} from '../../../ffi/libc.js'
import {fsconfig, fsmount, fsopen, move_mount, open_tree} from '../../../ffi/mount.js'
import {CAP, capabilityMask} from '../../../kernel/capabilities.js'
import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  CLONE_NEWNS,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  O_RDONLY,
  PERMISSIONS,
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
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOVE_MOUNT_F_EMPTY_PATH,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
} from '../../../kernel/names/mount-api.js'
import {MS_REC, MS_SLAVE} from '../../../kernel/names/mount.js'
import {giveBack} from '../../caller/give-back.js'
import type {OwnCapabilities} from '../../caller/own-capabilities.js'
import {BOUND_NODES_MAX} from './bound-nodes.js'

const MOUNTING = capabilityMask(CAP.SYS_ADMIN, CAP.SYS_CHROOT, CAP.DAC_READ_SEARCH)
const MAKING = capabilityMask(CAP.MKNOD, CAP.CHOWN, CAP.FOWNER, CAP.FSETID)

export interface NodeAttributes {
  /** Permissions. */
  readonly mode: number
  /** Ids as the supervisor sees them. */
  readonly uid: number
  readonly gid: number
}

/**
 * Its super block belongs to the initial user namespace, so that nodes on it open anywhere (no SB_I_NODEV), and its one
 * mount is never in the container: what is cloned from it is a mount of one node, not of the directory.
 */
export class NodeStore {
  readonly #own: OwnCapabilities
  readonly #alwaysAttach: boolean
  #root: number | undefined
  #namespaces: Namespaces | undefined
  #last = 0

  /** `alwaysAttach`: as on kernels before 6.15, which don't clone from a mount that is attached nowhere. */
  constructor(own: OwnCapabilities, {alwaysAttach = false}: {readonly alwaysAttach?: boolean} = {}) {
    this.#own = own
    this.#alwaysAttach = alwaysAttach
  }

  /** Makes a node and gives its name. */
  create(device: Device, {mode, uid, gid}: NodeAttributes): string {
    const root = (this.#root ??= this.#open())
    const name = String(++this.#last)
    const type = device.type === 'b' ? S_IFBLK : S_IFCHR
    this.#own.with(MAKING, () => {
      mknodat(root, name, type, encodeDevice(device))
      fchownat(root, name, uid, gid, AT_SYMLINK_NOFOLLOW)
      // Nothing else writes here, so that the name can't have become a link.
      fchmodat(root, name, mode & PERMISSIONS, 0)
    })
    return name
  }

  /** One more name for a node. */
  link(name: string): string {
    const root = this.#opened()
    const link = String(++this.#last)
    this.#own.with(capabilityMask(CAP.FOWNER), () => linkat(root, name, root, link, 0))
    return link
  }

  remove(name: string): void {
    const root = this.#opened()
    this.#own.with(0n, () => unlinkat(root, name, 0))
  }

  /** A detached mount of the node alone; the caller closes the descriptor, which ends it unless it was moved. */
  clone(name: string): number {
    const root = this.#opened()
    return this.#own.with(MOUNTING, () => {
      if (this.#namespaces === undefined) {
        try {
          if (!this.#alwaysAttach) return open_tree(root, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)
        } catch (error) {
          if (!isSystemError(error, ERRNO.EINVAL)) throw error
        }
        this.#namespaces = attach(root)
      }
      return inside(this.#namespaces, () => open_tree(root, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC))
    })
  }

  #opened(): number {
    if (this.#root === undefined) throw new RangeError('no node was made yet')
    return this.#root
  }

  #open(): number {
    return this.#own.with(MOUNTING, () => {
      const context = fsopen('tmpfs', FSOPEN_CLOEXEC)
      try {
        // A page of size is enough: nodes have no content. One inode more for the root, and some for links.
        for (const [key, value] of [
          ['source', 'interceptor'],
          ['size', '64k'],
          ['nr_inodes', String(2 * BOUND_NODES_MAX)],
          ['mode', '0700'],
        ] as const) {
          fsconfig(context, FSCONFIG_SET_STRING, key, cString(value), 0)
        }
        fsconfig(context, FSCONFIG_CMD_CREATE, null, null, 0)
        return fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC)
      } finally {
        closeQuietly(context)
      }
    })
  }
}

interface Namespaces {
  readonly store: number
  /** Where this thread came from: its mount namespace, root and working directory. */
  readonly home: number
  readonly root: number
  readonly cwd: number
}

/** Attaches `tree` in a mount namespace that nothing else enters. Needs a thread with its own root (CLONE_FS). */
function attach(tree: number): Namespaces {
  const directory = openat(AT_FDCWD, '/proc/thread-self/ns', O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
  const before = {
    home: openat(directory, 'mnt', O_RDONLY | O_CLOEXEC, 0),
    root: openat(AT_FDCWD, '/', O_PATH | O_DIRECTORY | O_CLOEXEC, 0),
    cwd: openat(AT_FDCWD, '.', O_PATH | O_DIRECTORY | O_CLOEXEC, 0),
  }
  try {
    unshare(CLONE_NEWNS)
    // Follows unmounts of the host, so that the copy keeps no file system busy; passes nothing on to it.
    mount(null, '/', null, MS_REC | MS_SLAVE, null)
    move_mount(tree, '', AT_FDCWD, '/', MOVE_MOUNT_F_EMPTY_PATH)
    return {...before, store: openat(directory, 'mnt', O_RDONLY | O_CLOEXEC, 0)}
  } finally {
    goHome(before)
    closeQuietly(directory)
  }
}

function inside<T>(namespaces: Namespaces, action: () => T): T {
  setns(namespaces.store, CLONE_NEWNS)
  try {
    return action()
  } finally {
    goHome(namespaces)
  }
}

/** setns(2) leaves the thread at the root of the namespace, which need not be where it stood. */
function goHome({home, root, cwd}: Omit<Namespaces, 'store'>): void {
  giveBack('a mount namespace', () => {
    setns(home, CLONE_NEWNS)
    fchdir(root)
    chroot('.')
    fchdir(cwd)
  })
}
