// The thread that made a call: its identity, its memory, its paths and what is done with its rights.

import {SystemError, isSystemError} from '../../ffi/errors.js'
import {FixedMemory, close, openat, pidfd_getfd, pidfd_open, readlinkInto, shareDescriptors} from '../../ffi/libc.js'
import type {ProcessMemory} from '../../ffi/memory.js'
import {fstat} from '../../ffi/mount.js'
import type {Abi} from '../../kernel/abi.js'
import {CAP, capabilityMask} from '../../kernel/capabilities.js'
import {
  AT_FDCWD,
  DOT,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  PIDFD_THREAD,
  SLASH,
  ZERO,
} from '../../kernel/constants.js'
import {ERRNO} from '../../kernel/errno.js'
import type {ContainerDescription} from '../container.js'
import type {Caller, CallerCredentials, CallerFacts, CallerMemory, ParentDirectory} from '../family.js'
import {idInside, isMapped} from './id-map.js'
import type {ThreadIdentity} from './identity.js'
import {procDirectory} from './proc.js'
import {resolve, resolveParent} from './resolve.js'
import type {Place} from './resolve.js'
import type {StatusReader} from './status-reader.js'
import type {ThreadStatus} from './status.js'

/** The notification is no longer valid: the caller died, or was interrupted, and nobody waits for an answer. */
export class CallerGone extends Error {
  constructor() {
    super('the caller is gone')
    this.name = 'CallerGone'
  }
}

/** What all callers of one container have in common, made once for each worker. */
export interface CallerContext {
  readonly container: ContainerDescription
  readonly identity: ThreadIdentity
  readonly memory: ProcessMemory
  readonly statuses: StatusReader
  /** Column of the container's pid namespace in the pid lines of /proc/TID/status. */
  readonly pidColumn: number
}

const DAC_CAPABILITIES = capabilityMask(CAP.DAC_OVERRIDE, CAP.DAC_READ_SEARCH)
const OWN_DESCRIPTOR = /^\/proc\/(?:self|thread-self)\/fd\/(0|[1-9][0-9]{0,8})$/

/** `user:[4026531837]`, as proc_ns_readlink() has it. */
const NAMESPACE_LINK = 'user:['.length
const link = new FixedMemory(64)

/**
 * One notification's caller. `release` closes every descriptor that was opened for it.
 *
 * What is read by the number of a task is proved to be of the caller by the id of the notification: while that is valid
 * the caller is in its call, so that nobody else has its number. An id that is no longer valid never is again; one look
 * at it proves all that was read before. What is read for the decision is proved together, by `beginPerformance`, before
 * anything is performed. Where nothing is performed the answer proves it: for an id that is not valid none arrives.
 */
export class ThreadCaller implements Caller {
  readonly tid: number
  readonly abi: Abi
  readonly memory: CallerMemory
  readonly #context: CallerContext
  readonly #isValid: () => boolean
  readonly #descriptors: number[] = []
  /** What is read needs no proof of its own: one follows. */
  #isProofDeferred = true
  /** Whether this thread goes on wearing the caller's ids between what it does in its place. */
  #keepsIdentity = false
  #credentials: CallerCredentials | undefined
  #facts: CallerFacts | undefined
  #isAtHome: boolean | undefined
  #root: number | undefined
  #cwd: number | undefined

  constructor(context: CallerContext, tid: number, abi: Abi, isValid: () => boolean) {
    this.#context = context
    this.tid = tid
    this.abi = abi
    this.#isValid = isValid
    this.memory = new GuardedMemory(this, context)
  }

  get credentials(): CallerCredentials {
    return (this.#credentials ??= this.#readCredentials())
  }

  get facts(): CallerFacts {
    return (this.#facts ??= new LazyFacts(this, this.#context.container))
  }

  /** Many calls are decided without asking. */
  get isInContainerUserNamespace(): boolean {
    return (this.#isAtHome ??= this.#userNamespace() === this.#context.container.namespaces.user)
  }

  assertAlive(): void {
    if (!this.#isValid()) throw new CallerGone()
  }

  /** Proves what was read so far. From here on each read is proved at once. */
  beginPerformance(actsAsCaller: boolean): void {
    this.#isProofDeferred = false
    this.assertAlive()
    if (actsAsCaller) this.#keepsIdentity = true
    else this.beSupervisor()
  }

  beSupervisor(): void {
    this.#keepsIdentity = false
    this.#context.identity.beSupervisor()
  }

  /** Something was read by the number of the task: it is proved now, or will be. */
  noteRead(): void {
    if (!this.#isProofDeferred) this.assertAlive()
  }

  openParent(dirfd: number, pathname: Buffer): ParentDirectory {
    // The call itself looks for a name in the caller's directory, and asks for search permission then.
    if (isPlainName(pathname)) return {fd: this.#openBase(dirfd), name: pathname, trailingSlash: false}
    const {fd, name, trailingSlash} = resolveParent(this.#place(dirfd), pathname)
    return {fd: this.#own(fd), name, trailingSlash}
  }

  openPath(dirfd: number, pathname: Buffer, {follow}: {readonly follow: boolean}): number {
    if (pathname.length === 0) return this.#openBase(dirfd)
    // The caller's own descriptor, however it is spelt: /proc/self would be ours, and the link is a magic one. Naming
    // it by number gives the caller nothing that it does not hold.
    const own = follow ? OWN_DESCRIPTOR.exec(pathname.toString('latin1')) : null
    if (own !== null) {
      try {
        return this.openDescriptor(Number(own[1]))
      } catch (error) {
        throw isSystemError(error, ERRNO.EBADF) ? new SystemError('openat2', ERRNO.ENOENT) : error
      }
    }
    return this.#own(resolve(this.#place(dirfd), pathname, follow ? 0 : O_NOFOLLOW))
  }

  openDescriptor(fd: number): number {
    if (fd < 0) throw new SystemError('pidfd_getfd', ERRNO.EBADF)
    const pidfd = this.#openPidfd()
    try {
      this.assertAlive()
      return this.#own(pidfd_getfd(pidfd, fd))
    } finally {
      close(pidfd)
    }
  }

  act<T>(capabilities: bigint, directory: number | undefined, action: () => T): T {
    const {identity} = this.#context
    const {credentials} = this
    try {
      return identity.as(credentials, capabilities, this.#keepsIdentity, action)
    } catch (error) {
      if (directory === undefined || !isSystemError(error, ERRNO.EACCES) || !this.#mayOverride()) throw error
      const {uid, gid} = fstat(directory)
      const {uidMap, gidMap} = this.#context.container
      if (!isMapped(uidMap, uid) || !isMapped(gidMap, gid)) throw error
      const more = capabilities | (credentials.effective & DAC_CAPABILITIES)
      return identity.as(credentials, more, this.#keepsIdentity, action)
    }
  }

  inMountNamespace<T>(action: () => T): T {
    return this.#inMountNamespace(undefined, action)
  }

  inPlace<T>(action: () => T): T {
    return this.#inMountNamespace({root: this.#openRoot(), cwd: this.#openCwd()}, action)
  }

  /** Runs `action` as the supervisor, with `capabilities` beside the few that the worker rests with. */
  asSupervisor<T>(capabilities: bigint, action: () => T): T {
    return this.#context.identity.withCapabilities(capabilities, action)
  }

  /** Closes what was opened for this call. To be called once, after the answer. */
  release(): void {
    for (const fd of this.#descriptors) close(fd)
    this.#descriptors.length = 0
  }

  #own(fd: number): number {
    this.#descriptors.push(fd)
    return fd
  }

  /** DAC capabilities of a nested user namespace do not reach files of the container. */
  #mayOverride(): boolean {
    return (this.credentials.effective & DAC_CAPABILITIES) !== 0n && this.facts.inContainerUserNamespace
  }

  #place(dirfd: number): Place {
    const {identity} = this.#context
    const {credentials} = this
    const root = (): number => this.#openRoot()
    let opened: number | undefined
    const baseOnce = (): number => (opened ??= this.#openBase(dirfd))
    return {
      root,
      base: baseOnce,
      fsuid: credentials.fsuid,
      mayOverride: this.#mayOverride(),
      plainly: (action) => identity.as(credentials, 0n, this.#keepsIdentity, action),
      overriding: (directory, action) => this.act(0n, directory, action),
      insideMountNamespace: (action) => this.#inMountNamespace({root: root(), cwd: baseOnce()}, action),
    }
  }

  #inMountNamespace<T>(place: {readonly root: number; readonly cwd: number} | undefined, action: () => T): T {
    const namespace = this.#openLink('ns/mnt', O_RDONLY)
    return this.#context.identity.inMountNamespace(namespace, place, action)
  }

  /** What relative paths start at. */
  #openBase(dirfd: number): number {
    return dirfd === AT_FDCWD ? this.#openCwd() : this.openDescriptor(dirfd)
  }

  #openRoot(): number {
    return (this.#root ??= this.#openLink('root', O_PATH | O_DIRECTORY))
  }

  #openCwd(): number {
    return (this.#cwd ??= this.#openLink('cwd', O_PATH | O_DIRECTORY))
  }

  /** Following a magic link is checked as ptrace is, so it is done with the worker's rights at rest. */
  #openLink(name: string, flags: number): number {
    let fd: number
    try {
      fd = openat(procDirectory(), `${this.tid}/${name}`, flags | O_CLOEXEC, 0)
    } catch (error) {
      if (isSystemError(error)) this.assertAlive()
      throw error
    }
    this.#own(fd)
    this.assertAlive()
    return fd
  }

  #openPidfd(): number {
    const {tid} = this
    const {tgid} = this.credentials
    if (tid === tgid) return pidfd_open(tid, 0)
    try {
      return pidfd_open(tid, PIDFD_THREAD)
    } catch (error) {
      // Before 6.9 only leaders have one: it will do where the thread shares its leader's table.
      if (!isSystemError(error, ERRNO.EINVAL) || !shareDescriptors(tid, tgid)) throw error
      return pidfd_open(tgid, 0)
    }
  }

  #readCredentials(): CallerCredentials {
    const status = this.#readStatus()
    this.noteRead()
    if (status === undefined) throw new Error(`/proc/${this.tid}/status has an unknown form`)
    const {pidColumn} = this.#context
    const column = (ids: readonly number[]): number => ids[Math.min(pidColumn, ids.length - 1)] ?? 0
    const {tgid, comm, uid, gid, fsuid, fsgid, groups, umask, effective} = status
    const containerTid = column(status.namespaceTids)
    const containerTgid = column(status.namespaceTgids)
    return {tgid, containerTid, containerTgid, comm, uid, gid, fsuid, fsgid, groups, umask, effective}
  }

  #readStatus(): ThreadStatus | undefined {
    try {
      return this.#context.statuses.read(this.tid)
    } catch (error) {
      if (isSystemError(error)) this.assertAlive()
      throw error
    }
  }

  /** The number of the caller's user namespace. Reading the link costs half of what looking at what it leads to does. */
  #userNamespace(): number {
    let length: number
    try {
      length = readlinkInto(procDirectory(), `${this.tid}/ns/user`, link.address, link.bytes.length)
    } catch (error) {
      if (isSystemError(error)) this.assertAlive()
      throw error
    }
    this.noteRead()
    let inode = 0
    for (let at = NAMESPACE_LINK; at < length - 1; at++) inode = inode * 10 + link.bytes[at]! - ZERO
    return inode
  }
}

/**
 * A task that is gone has no memory to read (ESRCH): told apart from a bad address by the id.
 *
 * Memory may be a file that is mapped, and touching it a request to the container's own FUSE server, which need not
 * answer. Such a request is made in the name of this thread's user, and the kernel makes none for a user whom the
 * server's user namespace does not map (fuse_get_req() in fs/fuse/dev.c). So all is done as the supervisor's own user.
 */
class GuardedMemory implements CallerMemory {
  readonly #caller: ThreadCaller
  readonly #memory: ProcessMemory
  readonly #identity: ThreadIdentity

  constructor(caller: ThreadCaller, {memory, identity}: CallerContext) {
    this.#caller = caller
    this.#memory = memory
    this.#identity = identity
  }

  bytes(address: number, length: number): Buffer {
    return this.#read((tid) => this.#memory.read(tid, address, length))
  }

  string(address: number, limit: number): Buffer {
    return this.#read((tid) => this.#memory.readString(tid, address, limit))
  }

  write(address: number, data: Uint8Array): void {
    // Ours must still be the thread that owns this id; it can't leave the call while the id is valid, but for SIGKILL.
    this.#caller.assertAlive()
    this.#identity.beOwnUser()
    this.#memory.write(this.#caller.tid, address, data)
  }

  #read(read: (tid: number) => Buffer): Buffer {
    const caller = this.#caller
    this.#identity.beOwnUser()
    try {
      const bytes = read(caller.tid)
      caller.noteRead()
      return bytes
    } catch (error) {
      if (isSystemError(error)) caller.assertAlive()
      throw error
    }
  }
}

class LazyFacts implements CallerFacts {
  readonly #caller: ThreadCaller
  readonly #container: ContainerDescription

  constructor(caller: ThreadCaller, container: ContainerDescription) {
    this.#caller = caller
    this.#container = container
  }

  get uid(): number {
    return idInside(this.#container.uidMap, this.#caller.credentials.uid)
  }

  get gid(): number {
    return idInside(this.#container.gidMap, this.#caller.credentials.gid)
  }

  get effective(): bigint {
    return this.#caller.credentials.effective
  }

  get inContainerUserNamespace(): boolean {
    return this.#caller.isInContainerUserNamespace
  }
}

/** One component of a relative path, and not `.` or `..`, which are no names. */
function isPlainName(pathname: Buffer): boolean {
  return pathname.length > 0 && pathname[0] !== DOT && pathname.indexOf(SLASH) === -1
}

/** The column of /proc/PID/status that belongs to the pid namespace of `initPid`: its own is the last. */
export function pidColumnOf(initPid: number, statuses: StatusReader): number {
  return (statuses.read(initPid)?.namespaceTids.length ?? 1) - 1
}
