// What a family asks of whoever makes its container. Data; only what is `kept` may hold descriptors.

import type {Device} from '../kernel/device-numbers.js'

/** What a family may look at before the container is made. */
export interface PreparationRequest {
  /** The supervisor is itself in a user namespace that an ordinary user made. */
  readonly rootless: boolean
  /** Paths of the device nodes that the container gets anyway (--device). */
  readonly devices: readonly Buffer[]
}

/** A device node for the container: made by the supervisor, or of the host where it can make none. */
export type NodeOption =
  | {readonly path: Buffer; readonly device: Device; readonly mode: number}
  | {readonly path: Buffer; readonly source: Buffer}

/** One line of devices.allow; `*` is any number. `access`: letters of `rwm` (read, write, mknod). */
export interface DeviceRule {
  readonly type: 'a' | 'b' | 'c'
  readonly major: number | '*'
  readonly minor: number | '*'
  readonly access: string
}

/** A file of the host whose content the supervisor executes. */
export interface ExecutedFile {
  /** That named it, without dashes. */
  readonly flag: string
  /** Absolute and without links. */
  readonly path: Buffer
}

/** Whatever is left out is not asked for. */
export interface Preparation<K = undefined> {
  /** Device nodes in the container. */
  readonly nodes?: readonly NodeOption[]
  /** Devices that the container may open, beside those of every container. */
  readonly deviceRules?: readonly DeviceRule[]
  /** Files and directories of the host that the container sees under their own absolute path. */
  readonly shown?: readonly Buffer[]
  /** The run is refused where the container could write to one of them. */
  readonly executed?: readonly ExecutedFile[]
  /** Device nodes can be opened wherever the container can write. */
  readonly opensNodes?: boolean
  /** Devices of which an archive may hold nodes that are only recorded. */
  readonly archived?: readonly Device[]
  /** Trusted attributes that an archive may hold. */
  readonly archivedAttributes?: readonly string[]
  /** Real-time scheduling policies work in its cgroup. */
  readonly realtime?: boolean
  /** The flag for which it gets its own cgroup of version 2, which its root may open and divide; not an ordinary user's. */
  readonly ownCgroup?: string | undefined
  /** The supervisor can have programs started in it: `spawner` of the ContainerDescription. */
  readonly spawner?: boolean
  /** For `attach`. */
  readonly kept?: K
  /** Descriptors of the objects that the policy names, open as long as the container lives: for `adopt`. */
  readonly objects?: readonly number[]
  /** Gives back what is kept. Called once, when nothing of the container is left. */
  readonly close?: () => void
}
