// Binds again what an earlier run recorded: empty files with the attribute of records.ts, below whatever the
// container can write to. Done once, before the command runs, so that nothing in there changes meanwhile.

import {opendirSync, readFileSync} from 'node:fs'

import {SystemError} from '../../../ffi/errors.js'
import {closeQuietly, declareRaw, lastErrno, openat} from '../../../ffi/libc.js'
import {fstat, move_mount, openat2} from '../../../ffi/mount.js'
import {CAP, capabilityMask} from '../../../kernel/capabilities.js'
import {
  AT_FDCWD,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
  S_IFMT,
  S_IFREG,
} from '../../../kernel/constants.js'
import {sameDevice} from '../../../kernel/device-numbers.js'
import {ERRNO} from '../../../kernel/errno.js'
import {MOVE_MOUNT_F_EMPTY_PATH, MOVE_MOUNT_T_EMPTY_PATH} from '../../../kernel/names/mount-api.js'
import type {Restored, ManifestEntry} from '../../family.js'
import {manifestEntry} from './bound-nodes.js'
import {cloneHostNode} from './host-node.js'
import {addRecorded, boundNode} from './make-node.js'
import type {MknodState} from './make-node.js'
import {OVERRIDE_STAT, OVERRIDE_STAT_MAX, parseOverrideStat} from '../../records.js'
import type {RecordedNode} from '../../records.js'
import type {MknodPolicy} from './policy.js'

/** A tree of this size takes about a second to look through; in larger ones what comes later stays as it is. */
const ENTRIES_MAX = 200_000
const TOO_MANY = 'not all files were looked through for device nodes of an earlier run: there are too many'
const READ = capabilityMask(CAP.DAC_READ_SEARCH)
const MOUNT = capabilityMask(CAP.SYS_ADMIN)
const SLASH = Buffer.from('/')
/** File systems of the kernel's own, where nobody keeps files. */
const KERNELS = new Set('proc sysfs devpts mqueue cgroup cgroup2 devtmpfs securityfs debugfs tracefs bpf'.split(' '))

const lgetxattr = declareRaw('lgetxattr', ['path', 'path', 'buffer', 'size'])
const fgetxattr = declareRaw('fgetxattr', ['fd', 'path', 'buffer', 'size'])

/** `enter` runs an action in the container's mount namespace. */
export function restoreNodes(policy: MknodPolicy, state: MknodState, enter: (action: () => void) => void): Restored {
  const search = new Search(policy, state, enter)
  const {initPid} = state.container
  const mounts = readFileSync(`/proc/${initPid}/mountinfo`, 'latin1')
  const root = openat(AT_FDCWD, `/proc/${initPid}/root`, O_PATH | O_DIRECTORY | O_CLOEXEC, 0)
  try {
    for (const point of writableMountPoints(mounts)) search.mount(root, point)
  } finally {
    closeQuietly(root)
  }
  return {entries: search.entries, notes: search.notes}
}

/** Of proc_pid_mountinfo(5): where files can be made, by the mount's own options and its super block's. */
export function writableMountPoints(text: string): readonly Buffer[] {
  return text.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ')
    const [, , , , point, options = ''] = before.split(' ')
    const [type = '', , superOptions = ''] = after.split(' ')
    const isWritable = options.split(',').includes('rw') && superOptions.split(',').includes('rw')
    return point === undefined || !isWritable || KERNELS.has(type) ? [] : [unescape(point)]
  })
}

/** Spaces and the like are written as three octal digits. */
function unescape(text: string): Buffer {
  return Buffer.from(
    text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8))),
    'latin1',
  )
}

class Search {
  readonly entries: ManifestEntry[] = []
  readonly notes: string[] = []
  readonly #policy: MknodPolicy
  readonly #state: MknodState
  readonly #enter: (action: () => void) => void
  readonly #value = Buffer.alloc(OVERRIDE_STAT_MAX)
  #left = ENTRIES_MAX

  constructor(policy: MknodPolicy, state: MknodState, enter: (action: () => void) => void) {
    this.#policy = policy
    this.#state = state
    this.#enter = enter
  }

  /** Nearest to the top first: that is where an image's /dev is. */
  mount(root: number, point: Buffer): void {
    const relative = point.length === 1 ? Buffer.from('.') : point.subarray(1)
    const top = this.#open(root, relative, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)
    if (top === undefined) return
    try {
      // The kernel answers for the file system, not for this directory.
      if (lgetxattr(`/proc/self/fd/${top}`, OVERRIDE_STAT, null, 0) < 0 && lastErrno() === ERRNO.EOPNOTSUPP) return
      const queue: Buffer[] = [Buffer.from('.')]
      for (let at = 0; at < queue.length && this.#left > 0; at++)
        quietly(() => this.#directory(top, point, queue[at]!, queue))
    } finally {
      closeQuietly(top)
    }
  }

  #directory(top: number, point: Buffer, path: Buffer, queue: Buffer[]): void {
    const isTop = path.length === 1 && path[0] === 0x2e
    const fd = this.#open(top, path, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV)
    if (fd === undefined) return
    try {
      const below = (name: Buffer): Buffer => (isTop ? name : Buffer.concat([path, SLASH, name]))
      const inContainer = point.length === 1 ? SLASH : Buffer.concat([point, SLASH])
      const {directories, recorded} = this.#list(fd)
      for (const name of directories) {
        const path = below(name)
        // Long paths count for more, as they are kept in memory.
        this.#left -= path.length >> 7
        queue.push(path)
      }
      for (const name of recorded) quietly(() => this.#restore(fd, name, Buffer.concat([inContainer, below(name)])))
    } finally {
      closeQuietly(fd)
    }
  }

  #open(from: number, path: Buffer, resolve: number): number | undefined {
    return quietly(() =>
      this.#state.own.with(READ, () =>
        openat2(from, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0, resolve),
      ),
    )
  }

  #list(fd: number): {readonly directories: readonly Buffer[]; readonly recorded: readonly Buffer[]} {
    const directory = `/proc/self/fd/${fd}`
    const start = Buffer.from(`${directory}/`)
    const directories: Buffer[] = []
    const recorded: Buffer[] = []
    this.#state.own.with(READ, () => {
      // One by one: the container may have made a directory of any size.
      const entries = opendirSync(directory, {encoding: 'buffer' as BufferEncoding, bufferSize: 128})
      try {
        for (let entry = entries.readSync(); entry !== null; entry = entries.readSync()) {
          if (--this.#left <= 0) {
            this.#tooMany()
            return
          }
          const name = entry.name as unknown as Buffer
          if (entry.isDirectory()) directories.push(name)
          else if (entry.isFile() && lgetxattr(Buffer.concat([start, name]), OVERRIDE_STAT, null, 0) > 0)
            recorded.push(name)
        }
      } finally {
        entries.closeSync()
      }
    })
    return {directories, recorded}
  }

  #tooMany(): void {
    if (this.notes.length === 0) this.notes.push(TOO_MANY)
  }

  #restore(directory: number, name: Buffer, path: Buffer): void {
    const {own, bound, container} = this.#state
    if (bound.full) return
    const flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC
    const fd = own.with(READ, () =>
      openat2(directory, name, flags, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV),
    )
    let tree: number | undefined
    try {
      const status = fstat(fd)
      if ((status.mode & S_IFMT) !== S_IFREG || status.size !== 0) return
      const recorded = this.#read(fd)
      // The attribute is the container's to write: it gets what the policy of this run allows and nothing else.
      if (recorded === undefined || !this.#policy.devices.some((one) => sameDevice(one, recorded.device))) return
      const host = (tree = cloneHostNode(recorded.device, own))
      const shown = host === undefined ? undefined : fstat(host)
      if (host !== undefined) this.#enter(() => own.with(MOUNT, () => attach(host, fd)))
      const {mode, uid, gid} = recorded
      const node = {...boundNode(recorded.device, status, shown, undefined, container, path), mode, uid, gid}
      this.entries.push(manifestEntry(addRecorded(node, fd, this.#state)))
    } finally {
      if (tree !== undefined) closeQuietly(tree)
      closeQuietly(fd)
    }
  }

  #read(fd: number): RecordedNode | undefined {
    const value = this.#value
    const length = this.#state.own.with(READ, () => fgetxattr(fd, OVERRIDE_STAT, value, value.length))
    return length > 0 ? parseOverrideStat(value.toString('latin1', 0, length)) : undefined
  }
}

function attach(tree: number, file: number): void {
  move_mount(tree, '', file, '', MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)
}

/** A node or a directory that can't be had is no reason to run nothing: it stays what it is. */
function quietly<T>(action: () => T): T | undefined {
  try {
    return action()
  } catch (error) {
    // A failed system call, ours or Node's.
    if (error instanceof SystemError || (error instanceof Error && 'syscall' in error)) return undefined
    throw error
  }
}
