// Whether a descriptor of the caller is of the container's cgroup or one below it, by the kernel's ids and never by a name.

import {isSystemError} from '../../../ffi/errors.js'
import {openKernfsNode} from '../../../ffi/handle.js'
import {close, openat} from '../../../ffi/libc.js'
import {fstat} from '../../../ffi/mount.js'
import {CAP, capabilityMask} from '../../../kernel/capabilities.js'
import {
  AT_FDCWD,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  S_IFDIR,
  S_IFMT,
} from '../../../kernel/constants.js'
import {ERRNO} from '../../../kernel/errno.js'
import {OwnCapabilities} from '../../caller/own-capabilities.js'

/** `missing`: the cgroup was removed. `other`: no directory of the unified hierarchy at all. */
export type Place = 'inside' | 'missing' | 'other' | 'outside'

/** Deeper cgroups are taken for strange ones. */
const DEPTH_MAX = 128
const SEARCH = capabilityMask(CAP.DAC_READ_SEARCH)

/** Holds a descriptor of the container's own cgroup for as long as the worker lives. */
export class CgroupSubtree {
  readonly #own: number
  readonly #node: Node
  readonly #capabilities = new OwnCapabilities()

  /** `directory`: the container's own in the unified hierarchy, as the supervisor sees it. */
  constructor(directory: string) {
    this.#own = openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
    this.#node = nodeOf(this.#own)
  }

  /**
   * The id (kernfs_ino()) is all that is taken from the caller's descriptor. Its ancestors are looked up in the
   * supervisor's own mount of the hierarchy: `..` in a mount of the caller's would lead out of that mount. A cgroup of
   * the unified hierarchy never gets another parent (cgroup1_rename() in kernel/cgroup is for version 1 alone).
   */
  locate(fd: number): Place {
    const node = nodeOf(fd)
    if (node.device !== this.#node.device || !node.isDirectory) return 'other'
    if (node.id === this.#node.id) return 'inside'
    try {
      return this.#isBelow(node.id) ? 'inside' : 'outside'
    } catch (error) {
      if (isSystemError(error, ERRNO.ESTALE) || isSystemError(error, ERRNO.ENOENT)) return 'missing'
      throw error
    }
  }

  #isBelow(id: bigint): boolean {
    const flags = O_PATH | O_DIRECTORY | O_CLOEXEC
    let at = this.#capabilities.with(SEARCH, () => openKernfsNode(this.#own, id, flags))
    try {
      let last = id
      for (let depth = 0; depth < DEPTH_MAX; depth++) {
        const parent = openat(at, '..', flags | O_NOFOLLOW, 0)
        close(at)
        at = parent
        const node = nodeOf(at)
        if (node.device !== this.#node.device || node.id === last) return false
        if (node.id === this.#node.id) return true
        last = node.id
      }
      return false
    } finally {
      close(at)
    }
  }
}

interface Node {
  readonly device: string
  readonly id: bigint
  readonly isDirectory: boolean
}

/** All mounts of the unified hierarchy have one superblock, also those of other cgroup namespaces (cgroup_do_get_tree()). */
function nodeOf(fd: number): Node {
  const {devMajor, devMinor, inode, mode} = fstat(fd)
  return {device: `${devMajor}:${devMinor}`, id: inode, isDirectory: (mode & S_IFMT) === S_IFDIR}
}
