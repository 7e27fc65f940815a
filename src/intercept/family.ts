// What a family of intercepted calls declares. One folder in families/ for each; the engine does the rest.

import type {Abi} from '../kernel/abi.js'
import type {ContainerDescription} from './container.js'
import type {FlagValues} from '../flag.js'
import type {CheckCircumstances, Service, Unsupported} from './finding.js'
import type {Hint} from './hint.js'
import type {Policy, PolicyDeclaration} from './policy.js'
import type {Preparation, PreparationRequest} from './preparation.js'

export type ArgumentIndex = 0 | 1 | 2 | 3 | 4 | 5
export type Json = boolean | number | string | null | readonly Json[] | {readonly [key: string]: Json}

/** One comparison on a register, as the filter makes it. */
export interface Comparison {
  readonly argument: ArgumentIndex
  /** 32: the low half alone, for arguments that the kernel takes as int or unsigned int. */
  readonly width: 32 | 64
  /** Applied before comparing; all ones when left out. */
  readonly mask?: bigint
  readonly operator: 'eq' | 'ge' | 'gt' | 'le' | 'lt' | 'ne'
  readonly value: bigint
}

/** Holds when all comparisons of any one group hold. */
export type Condition = readonly (readonly Comparison[])[]

/** The six registers of a call. An int lies in the low half; the high half may be junk. */
export interface Registers {
  int32(index: ArgumentIndex): number
  uint32(index: ArgumentIndex): number
  uint64(index: ArgumentIndex): bigint
  /** A pointer or size_t as the ABI gives it; NaN where it is above 2^53, which no user address is. */
  address(index: ArgumentIndex): number
}

/** Memory of the caller, read page by page with a limit. A fault throws SystemError EFAULT. */
export interface CallerMemory {
  bytes(address: number, length: number): Buffer
  /** A string without its NUL. `limit` counts the NUL; a longer string throws ENAMETOOLONG. */
  string(address: number, limit: number): Buffer
  /** Honours page protection (process_vm_writev); a short write throws EFAULT. */
  write(address: number, data: Uint8Array): void
}

/** A structure as strace writes it, by the kernel's names of its members. Little endian, as all our ABIs. */
export interface StructLayout {
  readonly bytes: number
  readonly members: Readonly<Record<string, StructMember>>
}

export interface StructMember {
  readonly offset: number
  /** `pointer`: a string that the structure points to. `text`: bytes in the structure itself. */
  readonly type: 'pointer' | 'text' | 'u32' | 'u64'
}

/** How one argument is read from the caller and shown. Kinds live in caller/argument-kinds.ts. */
export interface Argument<T> {
  readonly index: ArgumentIndex
  read(registers: Registers, memory: CallerMemory, abi: Abi): T
  /** As strace would write it; control characters escaped. `others`: the values of all arguments, by name. */
  show(value: T, others?: Readonly<Record<string, unknown>>): string
  json(value: T, others?: Readonly<Record<string, unknown>>): Json
  /** Of one that points to a structure, for reading traces: its layout where members of these names are written. */
  readonly layout?: (members: readonly string[]) => StructLayout | undefined
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- each call fixes its own T
export type Arguments = Readonly<Record<string, Argument<any>>>
export type Values<A extends Arguments> = {readonly [K in keyof A]: A[K] extends Argument<infer T> ? T : never}

/** What decisions may know of the caller. Ids are the container's. */
export interface CallerFacts {
  readonly uid: number
  readonly gid: number
  /** Effective capability bits in the caller's own user namespace. */
  readonly effective: bigint
  /** The caller's user namespace is the container's, not one nested in it. */
  readonly inContainerUserNamespace: boolean
}

export type Verdict =
  | {readonly kind: 'perform'; readonly reason: string}
  | {readonly kind: 'refuse'; readonly errno: number; readonly reason: string; readonly hint?: Hint}
  /** `silent`: a follow-up call on something that was never emulated; counted, not logged. */
  | {readonly kind: 'continue'; readonly reason: string; readonly silent?: boolean}

/**
 * One emulated object, for --manifest. Paths are the container's. The end of an object is told in the same way, with the
 * member `removed: true`, and a new name with `movedTo`, the new path.
 */
export interface ManifestEntry {
  readonly kind: 'attribute' | 'mount' | 'node'
  readonly path: Buffer
  readonly strategy: string
  readonly [member: string]: Buffer | boolean | number | string | undefined
}

export type Performed =
  | {
      readonly kind: 'done'
      readonly value: number
      readonly strategy: string
      /** As a function where it takes time to find out: called only where somebody wants to know, before the answer. */
      readonly created?: ManifestEntry | (() => ManifestEntry)
      readonly reason?: string
    }
  /** A true errno of the operation. Never turned into `continue`. */
  | {
      readonly kind: 'failed'
      readonly errno: number
      readonly strategy: string
      readonly reason?: string
      readonly hint?: Hint
    }
  /** A descriptor that is put into the caller (ADDFD with SEND), which is the result of the call; the engine closes ours. */
  | {
      readonly kind: 'descriptor'
      readonly fd: number
      readonly closeOnExec: boolean
      readonly strategy: string
      readonly created?: ManifestEntry
    }
  /** As `descriptor`, in place of descriptor `at` of the caller; the result of the call is 0. */
  | {
      readonly kind: 'replaced'
      readonly fd: number
      readonly at: number
      readonly closeOnExec: boolean
      readonly strategy: string
      readonly created?: ManifestEntry
    }
  | Extract<Verdict, {kind: 'continue' | 'refuse'}>

/** Where the last component of a path would be made. */
export interface ParentDirectory {
  /** O_PATH descriptor of the directory. */
  readonly fd: number
  /** Last component, never empty, without slashes; may be `.` or `..`. */
  readonly name: Buffer
  readonly trailingSlash: boolean
}

/** The thread that makes the call: its identity and what may be done in its place. See caller.ts. */
export interface Caller {
  /** Thread id as the supervisor sees it. */
  readonly tid: number
  readonly abi: Abi
  readonly facts: CallerFacts
  readonly memory: CallerMemory
  /** Kernel ids (as the supervisor's /proc shows them), groups and umask of the thread. */
  readonly credentials: CallerCredentials
  /** Throws CallerGone when the notification is no longer valid. Call it after opening anything by tid. */
  assertAlive(): void
  /** Resolves all but the last component with the caller's rights, root, cwd and mount namespace; the descriptor lives until the call is answered. */
  openParent(dirfd: number, pathname: Buffer): ParentDirectory
  /** Resolves a whole path likewise to an O_PATH descriptor that lives until the call is answered. `pathname` may be empty (AT_EMPTY_PATH). */
  openPath(dirfd: number, pathname: Buffer, options: {readonly follow: boolean}): number
  /** A duplicate of descriptor `fd` of the caller (pidfd_getfd); throws EBADF. It lives until the call is answered. */
  openDescriptor(fd: number): number
  /**
   * Runs `action` with the caller's fs ids, groups and umask, and only `capabilities` effective. On EACCES from
   * `action`, runs it once more with the DAC capabilities that the caller holds, where owner and group of `directory`
   * (a descriptor) lie in the container's map, which is the kernel's own rule (capable_wrt_inode_uidgid).
   */
  act<T>(capabilities: bigint, directory: number | undefined, action: () => T): T
  /** The supervisor's ids outside `act`, as other calls have them from the start: for a call that `actsAsCaller`. */
  beSupervisor(): void
  /** Runs `action` with this thread in the caller's mount namespace. */
  inMountNamespace<T>(action: () => T): T
  /** The same, and with the caller's root and working directory: paths mean what they mean to the caller. */
  inPlace<T>(action: () => T): T
}

export interface CallerCredentials {
  readonly tgid: number
  /** Ids of the thread and of its process in the container's pid namespace. */
  readonly containerTid: number
  readonly containerTgid: number
  readonly comm: string
  readonly uid: number
  readonly gid: number
  readonly fsuid: number
  readonly fsgid: number
  readonly groups: Uint32Array
  readonly umask: number
  readonly effective: bigint
}

/** One intercepted system call. `P` is the family's policy, `S` its state in the worker. */
export interface InterceptedCall<A extends Arguments, P, S> {
  /** The kernel's name. ABIs that lack it are passed over. */
  readonly name: string
  /** For a call that no kernel has: its number on every ABI. */
  readonly number?: number
  readonly arguments: A
  /** As narrow as registers allow; without it every call is notified. */
  readonly condition?: Condition
  /** slow: may block (mounts, programs); performed by another worker. handler: by code that is not ours. */
  readonly lane?: 'handler' | 'hot' | 'slow'
  /** handler: after this time the call is refused and the worker ended. */
  readonly timeLimitMs?: number
  /** Answers before anything is read of the caller, e.g. `continue` while no emulated node exists. */
  readonly precheck?: (state: S) => Verdict | undefined
  /**
   * `perform` touches nothing of the supervisor's, but for what it does behind `caller.beSupervisor()`. So the worker may
   * go on with the ids of the caller, in which the next call probably finds it.
   */
  readonly actsAsCaller?: boolean
  /**
   * Without this family the kernel does the call for a container too, if otherwise; left out, it refuses what this family
   * would look at. For explain. Pure.
   */
  readonly worksNatively?: true | ((values: Values<A>) => boolean)
  /** Pure. Same values, facts and policy: same verdict. */
  decide(values: Values<A>, facts: CallerFacts, policy: P): Verdict
  perform(values: Values<A>, caller: Caller, state: S): Performed
  /**
   * Does what the kernel does of a refused call before it asks for permission, and throws the SystemError that it finds:
   * a path that leads nowhere, a name that is taken, a read-only file system. Changes nothing, whatever the caller does
   * meanwhile. EPERM, or no error, leaves the refusal as it is. Called for refusals with EPERM alone.
   */
  readonly attemptWithoutPermission?: (values: Values<A>, caller: Caller, state: S) => void
}

export interface Strategy {
  readonly name: string
  readonly summary: string
  /** What it needs, for explain and check. */
  readonly needs: string
}

/** What was there before the command started. */
export interface Restored {
  readonly entries: readonly ManifestEntry[]
  /** For the person, where something was left undone. */
  readonly notes: readonly string[]
}

/** What a family's calls depend on beside the policy. */
export interface FamilyOptions {
  readonly rootless: boolean
}

/** What goes on in the main thread for a family while a container is supervised. */
export interface Attached<D> {
  /** Given to `start` in every worker, by structured clone: plain data, shared memory, numbers of descriptors. */
  readonly shared?: D
  /** The command must not begin before `restore` is through. */
  readonly restores?: boolean
  /** Called once, at the end of supervision. */
  readonly stop?: () => void
}

/** `P` is its policy, `S` its state in a worker, `D` what its workers share, `K` what it keeps from before the launch. */
export interface FamilyDeclaration<P, S, D = undefined, K = undefined> {
  /** That of its folder, and of its part of a policy. */
  readonly name: string
  readonly summary: string
  readonly strategies: readonly Strategy[]
  /** Its flags, what they come to, and how two policies compare. */
  readonly policy: PolicyDeclaration<P>
  /** The family's part of a policy, undefined when it is off; left out: the member of its name. */
  select?(policy: Policy): P | undefined
  /** What the policy asks for that cannot work here. Only what is certain: a run that never comes to it is a good one. */
  unsupported?(policy: P, options: FamilyOptions): readonly Unsupported[]
  /** Which strategy would serve here, tried where it can be; left out: the first. */
  check?(policy: P | undefined, circumstances: CheckCircumstances): Service
  /** What `policy.fromFlags` cannot tell, because code must be loaded for it. Throws UsageError. */
  load?(values: FlagValues): Promise<P | undefined>
  calls(policy: P, options: FamilyOptions): readonly AnyCall<P, S>[]
  /** In the main thread, before a container is made for this policy: what the container must have. */
  prepare?(policy: P, request: PreparationRequest): Preparation<K>
  /**
   * In the main thread of a second supervisor of the container, for a policy that allows no more than `given`, for which
   * it was prepared. `objects`: copies of the descriptors that `prepare` gave, to be taken over, so that no name is
   * looked up again that leads elsewhere by now.
   */
  adopt?(policy: P, given: P, objects: readonly number[]): Pick<Preparation<K>, 'close' | 'kept'>
  /** In the main thread, once for a listener. `kept`: of `prepare` or `adopt`, where interceptor made the container. */
  attach?(policy: P, container: ContainerDescription, kept?: K): Attached<D>
  /** State for one worker, made when supervision starts. `shared`: what `attach` gave, where it was called. */
  start(policy: P, container: ContainerDescription, shared?: D): S
  /**
   * Once for a container, before its command starts: takes up what an earlier run left. `enter` runs an action in the
   * container's mount namespace.
   */
  restore?(policy: P, state: S, enter: (action: () => void) => void): Restored
  /** For a worker of the lane `handler`: the same family, with code that only this worker may hold. */
  withHandlers?(policy: P): Promise<Family<P, S, D, K>>
}

export interface Family<P, S, D = undefined, K = undefined> extends FamilyDeclaration<P, S, D, K> {
  /** The flag that switches it on, with its dashes; empty where it is on with any other. */
  readonly flag: string
  /** Keys of LXD and Incus that it corresponds to. */
  readonly lxdKeys: readonly string[]
  select(policy: Policy): P | undefined
}

export function defineFamily<P, S, D = undefined, K = undefined>(
  declaration: FamilyDeclaration<P, S, D, K>,
): Family<P, S, D, K> {
  const {name, policy} = declaration
  const [first] = policy.flags
  return {
    // Whoever wrote it under this name is fromFlags() or load() of this family.
    select: (whole) => whole[name] as P | undefined,
    ...declaration,
    flag: first === undefined ? '' : `--${first.name}`,
    lxdKeys: policy.lxd === undefined ? [] : [policy.lxd.switch, ...(policy.lxd.others ?? [])].map(({key}) => key),
  }
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a list of calls with different arguments
export type AnyCall<P = any, S = any> = InterceptedCall<any, P, S>
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the registry holds families of every kind
export type AnyFamily = Family<any, any, any, any>

/** Keeps the argument types through inference; adds nothing at run time. */
export function defineSyscall<const A extends Arguments, P, S>(
  call: InterceptedCall<A, P, S>,
): InterceptedCall<A, P, S> {
  return call
}
