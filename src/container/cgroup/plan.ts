// What is asked of a container's cgroup, and the steps that make it. Pure data; index.ts carries it out.

import type {CgroupDescription} from '../../intercept/container.js'
import type {DeviceRule} from '../../intercept/preparation.js'

export interface CgroupOptions {
  readonly name: string
  readonly memoryBytes?: number
  readonly pids?: number
  /** May be a fraction. */
  readonly cpus?: number
  /** Gives a v1 cpu cgroup real-time bandwidth, without which SCHED_FIFO is EPERM for its members. */
  readonly realtime?: boolean
  /** Beside BASE_DEVICES: allowlisted ones, and the container's terminal. */
  readonly devices?: readonly DeviceRule[]
  /** The container may make cgroups below its own in the unified hierarchy: ids of its root outside, and the flag that asks. */
  readonly delegateTo?: {readonly uid: number; readonly gid: number; readonly flag: string}
  readonly rootless: boolean
}

export interface CgroupWrite {
  readonly file: string
  readonly value: string
  /** `limit the memory`: what fails when this fails. */
  readonly purpose: string
  /** Passed over where the file is not there. */
  readonly optional?: boolean
}

/** v2: processes that leave `from`, which may hold none while it hands controllers on. */
export interface Evacuation {
  readonly from: string
  readonly to: string
  readonly controllers: readonly string[]
}

export interface CgroupPlan {
  readonly evacuation: Evacuation | undefined
  /** Made in order. */
  readonly directories: readonly string[]
  /** Made where that is possible; nothing depends on them. */
  readonly optionalDirectories: readonly string[]
  readonly writes: readonly CgroupWrite[]
  /** Directory that the device program is attached to. */
  readonly deviceProgram: string | undefined
  /** Directory that is given to `delegateTo`. */
  readonly delegated: string | undefined
  readonly realtime: string | undefined
  readonly description: CgroupDescription
}

export const noSteps: CgroupPlan = {
  evacuation: undefined,
  directories: [],
  optionalDirectories: [],
  writes: [],
  deviceProgram: undefined,
  delegated: undefined,
  realtime: undefined,
  description: {version: 2},
}

/** Controllers that limits were asked of, with what the person would call them. */
export function wantedControllers(options: CgroupOptions): readonly ('cpu' | 'memory' | 'pids')[] {
  return [
    ...(options.memoryBytes === undefined ? [] : (['memory'] as const)),
    ...(options.pids === undefined ? [] : (['pids'] as const)),
    ...(options.cpus === undefined ? [] : (['cpu'] as const)),
  ]
}

/** cfs_period_us, cpu.max: the kernel's own default period. */
export const CPU_PERIOD_US = 100_000

/** The kernel takes no quota below 1 ms. */
export function cpuQuotaUs(cpus: number): number {
  return Math.max(1000, Math.round(cpus * CPU_PERIOD_US))
}
