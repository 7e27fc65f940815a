// Whose rights this thread acts with: at rest few capabilities and the supervisor's ids, the caller's for one action.

import {
  CapabilityState,
  capget,
  getfsgid,
  getfsuid,
  getgroups,
  keepCapabilitiesOnIdChange,
  setfsgid,
  setfsuid,
  setgroups,
  umask,
} from '../../ffi/credentials.js'
import {chroot, fchdir, openat, setns, unshare} from '../../ffi/libc.js'
import {CAP, capabilityMask} from '../../kernel/capabilities.js'
import {AT_FDCWD, CLONE_FS, CLONE_NEWNS, O_CLOEXEC, O_DIRECTORY, O_PATH} from '../../kernel/constants.js'
import {giveBack} from './give-back.js'

/** The part of a caller's credentials that files are made and looked up with. */
export interface FileCredentials {
  readonly fsuid: number
  readonly fsgid: number
  readonly groups: Uint32Array
  readonly umask: number
}

/** /proc/TID and process memory: PTRACE. Ids: SETUID, SETGID. Other mount namespaces: ADMIN, CHROOT. */
const REST_CAPABILITIES = capabilityMask(CAP.SYS_PTRACE, CAP.SETUID, CAP.SETGID, CAP.SYS_ADMIN, CAP.SYS_CHROOT)
const SEARCH = capabilityMask(CAP.DAC_READ_SEARCH)

/**
 * Changes this thread for good: its own root, cwd and umask (unshare(CLONE_FS)), no capability changes by id changes,
 * and few effective capabilities. So it is made once in each worker, never on the main thread.
 */
export class ThreadIdentity {
  readonly #permitted: bigint
  readonly #inheritable: bigint
  readonly #states = new Map<bigint, CapabilityState>()
  readonly #rest: CapabilityState
  readonly #own: FileCredentials
  readonly #root: number
  readonly #cwd: number
  readonly #mountNamespace: number
  #isActing = false
  /** What this thread has now, each as it was set last. */
  #fsuid: number
  #fsgid: number
  #groups: Uint32Array
  #umask: number

  constructor() {
    unshare(CLONE_FS)
    const {permitted, inheritable} = capget()
    this.#permitted = permitted
    this.#inheritable = inheritable
    const mask = umask(0)
    umask(mask)
    this.#own = {fsuid: getfsuid(), fsgid: getfsgid(), groups: getgroups(), umask: mask}
    ;({fsuid: this.#fsuid, fsgid: this.#fsgid, groups: this.#groups, umask: this.#umask} = this.#own)
    this.#root = openat(AT_FDCWD, '/', O_PATH | O_DIRECTORY | O_CLOEXEC, 0)
    this.#cwd = openat(AT_FDCWD, '.', O_PATH | O_DIRECTORY | O_CLOEXEC, 0)
    this.#mountNamespace = openat(AT_FDCWD, '/proc/thread-self/ns/mnt', O_CLOEXEC, 0)
    keepCapabilitiesOnIdChange()
    this.#rest = this.#state(REST_CAPABILITIES)
    this.#rest.enter()
  }

  /**
   * Runs `action` with those ids, groups and umask, and only `capabilities` effective (as far as we hold them).
   * Capabilities are those at rest again after it. With `keep` the rest stays until `beSupervisor` or somebody else's is
   * needed: most calls come from the same caller, or one with the same ids, and setting an id costs as much as a lookup.
   */
  as<T>(credentials: FileCredentials, capabilities: bigint, keep: boolean, action: () => T): T {
    if (this.#isActing) throw new Error('a thread can take one identity at a time')
    this.#isActing = true
    try {
      this.#wear(credentials)
      this.#state(capabilities).enter()
      return action()
    } finally {
      giveBack('the rights of a caller', () => {
        this.#rest.enter()
        if (!keep) this.#wear(this.#own)
      })
      this.#isActing = false
    }
  }

  /** The supervisor's own ids again: for all that is not done in a caller's place. */
  beSupervisor(): void {
    giveBack('the rights of a caller', () => this.#wear(this.#own))
  }

  /**
   * The supervisor's own user, in whose name requests to file systems are made; what else is kept of a caller stays.
   * Cheaper than `beSupervisor`, for what comes before most calls.
   */
  beOwnUser(): void {
    const {fsuid} = this.#own
    if (fsuid === this.#fsuid) return
    if (this.#isActing) throw new Error('this thread acts in the place of a caller')
    giveBack('the rights of a caller', () => setfsuid(fsuid))
    this.#fsuid = fsuid
  }

  /** Runs `action` as the supervisor itself, with `capabilities` beside those at rest. */
  withCapabilities<T>(capabilities: bigint, action: () => T): T {
    if (this.#isActing) throw new Error('a thread can take one identity at a time')
    this.beSupervisor()
    this.#isActing = true
    try {
      this.#state(REST_CAPABILITIES | capabilities).enter()
      return action()
    } finally {
      giveBack('the rights of a caller', () => this.#rest.enter())
      this.#isActing = false
    }
  }

  /**
   * Runs `action` with this thread in another mount namespace (setns(2) leaves it at that namespace's root), and with
   * `root` and `cwd` (descriptors) as its own where they are given.
   */
  inMountNamespace<T>(
    namespace: number,
    place: {readonly root: number; readonly cwd: number} | undefined,
    action: () => T,
  ): T {
    this.beSupervisor()
    try {
      setns(namespace, CLONE_NEWNS)
      if (place !== undefined) {
        // Only a start for lookups: the caller stands there already, so that its directory need not be open to us.
        this.withCapabilities(SEARCH, () => {
          fchdir(place.root)
          chroot('.')
          fchdir(place.cwd)
        })
      }
      return action()
    } finally {
      giveBack('the rights of a caller', () => {
        this.#wear(this.#own)
        setns(this.#mountNamespace, CLONE_NEWNS)
        this.#state(REST_CAPABILITIES | SEARCH).enter()
        fchdir(this.#root)
        chroot('.')
        fchdir(this.#cwd)
        this.#rest.enter()
      })
    }
  }

  /** Needs the capabilities at rest. Each part is noted as soon as it is set, so that a failure half-way is no lie. */
  #wear({fsuid, fsgid, groups, umask: mask}: FileCredentials): void {
    if (mask !== this.#umask) {
      umask(mask)
      this.#umask = mask
    }
    if (groups !== this.#groups && !equalGroups(groups, this.#groups)) setgroups(groups)
    this.#groups = groups
    if (fsgid !== this.#fsgid) {
      setfsgid(fsgid)
      this.#fsgid = fsgid
    }
    if (fsuid !== this.#fsuid) {
      setfsuid(fsuid)
      this.#fsuid = fsuid
    }
  }

  #state(capabilities: bigint): CapabilityState {
    let state = this.#states.get(capabilities)
    if (state === undefined) {
      const effective = capabilities & this.#permitted
      state = new CapabilityState({effective, permitted: this.#permitted, inheritable: this.#inheritable})
      this.#states.set(capabilities, state)
    }
    return state
  }
}

function equalGroups(one: Uint32Array, other: Uint32Array): boolean {
  return one.length === other.length && one.every((group, index) => group === other[index])
}
