// The thread that made a call: its identity, its memory, its paths and what is done with its rights.

import {CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, capabilityMask} from '../ffi/credentials.js'
import {ERRNO, SystemError, isSystemError} from '../ffi/errors.js'
import {
  AT_FDCWD,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  PIDFD_THREAD,
  close,
  openat,
  pidfd_getfd,
  pidfd_open,
  shareDescriptors,
} from '../ffi/libc.js'
import type {ProcessMemory} from '../ffi/memory.js'
import {fstat, statx} from '../ffi/mount.js'
import type {ContainerDescription} from './container-description.js'
import {idInside, isMapped} from './id-map.js'
import type {ThreadIdentity} from './identity.js'
import {resolve, resolveParent} from './resolve.js'
import type {Place} from './resolve.js'
import type {StatusReader} from './status-reader.js'
import type {ThreadStatus} from './status.js'
import type {Abi, Caller, CallerCredentials, CallerFacts, CallerMemory, ParentDirectory} from './syscall.js'

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

const DAC_CAPABILITIES = capabilityMask(CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH)
const OWN_DESCRIPTOR = /^\/proc\/(?:self|thread-self)\/fd\/(0|[1-9][0-9]{0,8})$/

/** One notification's caller. `release` closes every descriptor that was opened for it. */
export class ThreadCaller implements Caller {
  readonly tid: number
  readonly abi: Abi
  readonly memory: CallerMemory
  readonly #context: CallerContext
  readonly #isValid: () => boolean
  readonly #descriptors: number[] = []
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
    const {memory} = context
    this.memory = {
      bytes: (address, length) => this.#guarded(() => memory.read(tid, address, length)),
      string: (address, limit) => this.#guarded(() => memory.readString(tid, address, limit)),
      write: (address, data) => {
        // Ours must still be the thread that owns this id; it can't leave the call while the id is valid, but for SIGKILL.
        this.assertAlive()
        memory.write(tid, address, data)
      },
    }
  }

  get credentials(): CallerCredentials {
    return (this.#credentials ??= this.#readCredentials())
  }

  get facts(): CallerFacts {
    return (this.#facts ??= this.#readFacts())
  }

  assertAlive(): void {
    if (!this.#isValid()) throw new CallerGone()
  }

  openParent(dirfd: number, pathname: Buffer): ParentDirectory {
    const {fd, name, trailingSlash} = resolveParent(this.#place(dirfd), pathname)
    return {fd: this.#own(fd), name, trailingSlash}
  }

  openPath(dirfd: number, pathname: Buffer, {follow}: {readonly follow: boolean}): number {
    if (pathname.length === 0) return dirfd === AT_FDCWD ? this.#openCwd() : this.openDescriptor(dirfd)
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
      return identity.as(credentials, capabilities, action)
    } catch (error) {
      if (directory === undefined || !isSystemError(error, ERRNO.EACCES) || !this.#mayOverride()) throw error
      const {uid, gid} = fstat(directory)
      const {uidMap, gidMap} = this.#context.container
      if (!isMapped(uidMap, uid) || !isMapped(gidMap, gid)) throw error
      return identity.as(credentials, capabilities | (credentials.effective & DAC_CAPABILITIES), action)
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

  /** A task that is gone has no memory to read (ESRCH): told apart from a bad address by the id. */
  #guarded<T>(readMemory: () => T): T {
    try {
      const bytes = readMemory()
      this.assertAlive()
      return bytes
    } catch (error) {
      if (isSystemError(error)) this.assertAlive()
      throw error
    }
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
    const base = (): number => (dirfd === AT_FDCWD ? this.#openCwd() : this.openDescriptor(dirfd))
    let opened: number | undefined
    const baseOnce = (): number => (opened ??= base())
    return {
      root,
      base: baseOnce,
      fsuid: credentials.fsuid,
      mayOverride: this.#mayOverride(),
      plainly: (action) => identity.as(credentials, 0n, action),
      overriding: (directory, action) => this.act(0n, directory, action),
      insideMountNamespace: (action) => this.#inMountNamespace({root: root(), cwd: baseOnce()}, action),
    }
  }

  #inMountNamespace<T>(place: {readonly root: number; readonly cwd: number} | undefined, action: () => T): T {
    const namespace = this.#openLink('ns/mnt', O_RDONLY)
    return this.#context.identity.inMountNamespace(namespace, place, action)
  }

  #openRoot(): number {
    return (this.#root ??= this.#openLink('root', O_PATH | O_DIRECTORY))
  }

  #openCwd(): number {
    return (this.#cwd ??= this.#openLink('cwd', O_PATH | O_DIRECTORY))
  }

  /** Following a magic link is checked as ptrace is, so it is done with the worker's rights at rest. */
  #openLink(name: string, flags: number): number {
    const fd = this.#own(this.#openProc(name, flags))
    this.assertAlive()
    return fd
  }

  #openProc(name: string, flags: number): number {
    try {
      return openat(AT_FDCWD, `/proc/${this.tid}/${name}`, flags | O_CLOEXEC, 0)
    } catch (error) {
      if (isSystemError(error)) this.assertAlive()
      throw error
    }
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
    this.assertAlive()
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

  #readFacts(): CallerFacts {
    const {uidMap, gidMap} = this.#context.container
    const credentials = (): CallerCredentials => this.credentials
    const isInContainerUserNamespace = (): boolean => this.#isInContainerUserNamespace()
    // Many calls are decided without asking.
    return {
      get uid() {
        return idInside(uidMap, credentials().uid)
      },
      get gid() {
        return idInside(gidMap, credentials().gid)
      },
      get effective() {
        return credentials().effective
      },
      get inContainerUserNamespace() {
        return isInContainerUserNamespace()
      },
    }
  }

  #isInContainerUserNamespace(): boolean {
    if (this.#isAtHome === undefined) {
      const {inode} = statx(AT_FDCWD, `/proc/${this.tid}/ns/user`, 0)
      this.assertAlive()
      this.#isAtHome = Number(inode) === this.#context.container.namespaces.user
    }
    return this.#isAtHome
  }
}

/** The column of /proc/PID/status that belongs to the pid namespace of `initPid`: its own is the last. */
export function pidColumnOf(initPid: number, statuses: StatusReader): number {
  return (statuses.read(initPid)?.namespaceTids.length ?? 1) - 1
}
