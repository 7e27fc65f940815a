// What the container may have done for it. Plain data: it crosses to the worker by structured clone.

/** A device node as a policy names it. */
export interface Device {
  readonly type: 'b' | 'c'
  readonly major: number
  readonly minor: number
}

export interface MknodPolicy {
  readonly devices: readonly Device[]
}

export interface SetxattrPolicy {
  /** Full attribute names, all below `trusted.`. */
  readonly names: readonly string[]
}

export interface MountPolicy {
  /** File-system types that the kernel mounts for the container. */
  readonly allowed: readonly string[]
  /** File-system type -> FUSE program that mounts it instead. */
  readonly fuse: Readonly<Record<string, string>>
  readonly shift: boolean
  /** Absolute host paths: block devices, image files, or directories of images. */
  readonly sources: readonly string[]
}

export interface BpfPolicy {
  readonly devices: boolean
}

export interface SchedPolicy {
  /** Highest real-time priority that is granted, 1 to 99. */
  readonly maxPriority: number
  /** SCHED_DEADLINE, which no priority can be a ceiling for. */
  readonly deadline?: boolean
}

export interface ModulePolicy {
  /** Module names as the kernel spells them, with underscores. */
  readonly names: readonly string[]
}

/** One register in a filter; numbers are text in hexadecimal. */
export interface HandlerComparison {
  readonly argument: 0 | 1 | 2 | 3 | 4 | 5
  readonly width: 32 | 64
  readonly operator: 'eq' | 'ge' | 'gt' | 'le' | 'lt' | 'ne'
  readonly value: string
  readonly mask?: string
}

export interface HandlerArgument {
  readonly name: string
  readonly kind: 'bytes' | 'fd' | 'int' | 'mode' | 'path' | 'pointer' | 'size' | 'string' | 'uint'
  readonly index: 0 | 1 | 2 | 3 | 4 | 5
  readonly limit?: number
  /** The argument that tells how many bytes there are. */
  readonly length?: 0 | 1 | 2 | 3 | 4 | 5
}

/** A call that a module of the user's own answers; families/handler/ makes it from what the module exports. */
export interface HandlerDeclaration {
  /** Absolute path of the module, and which of its handlers it is. */
  readonly file: string
  readonly index: number
  readonly name: string
  /** For a call that no kernel has. */
  readonly number?: number
  readonly timeLimitMs: number
  readonly arguments: readonly HandlerArgument[]
  readonly condition?: readonly (readonly HandlerComparison[])[]
}

export interface HandlerPolicy {
  readonly calls: readonly HandlerDeclaration[]
}

/** A family is on exactly when its member is present. */
export interface Policy {
  readonly mknod?: MknodPolicy
  readonly setxattr?: SetxattrPolicy
  readonly mount?: MountPolicy
  readonly bpf?: BpfPolicy
  readonly sched?: SchedPolicy
  readonly sysinfo?: Readonly<Record<string, never>>
  readonly modules?: ModulePolicy
  readonly handler?: HandlerPolicy
}

export type FamilyName = keyof Policy
