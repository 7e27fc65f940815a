// What `run` was asked to do, as plain data: checked for form, not yet against the machine. plan.ts goes on from here.

import type {IdMapExtent} from '../intercept/container.js'
import type {DecisionBatch, Wanted} from '../intercept/decision.js'
import type {ConfiguredDenial} from '../intercept/filter/filter.js'
import type {Policy} from '../intercept/policy.js'
import type {ManifestEntry} from '../intercept/family.js'

export interface BindOption {
  /** As typed; relative to the current directory. */
  readonly source: Buffer
  /** Absolute in the container; undefined: the source's own absolute path. */
  readonly target: Buffer | undefined
  readonly readOnly: boolean
  /** Owners are mapped to the container; undefined: where the supervisor is privileged. */
  readonly shift: boolean | undefined
}

export interface DeviceOption {
  /** A device node of the host, at the same path in the container. */
  readonly path: Buffer
  /** Permission bits of the node in the container; undefined: those of the host's node. */
  readonly mode: number | undefined
  /** Ids in the container; undefined: its root. */
  readonly owner: {readonly uid: number; readonly gid: number} | undefined
}

/** Paths are bytes as typed; host paths are relative to the current directory, container paths absolute. */
export interface ContainerOptions {
  readonly name: string | undefined
  readonly rootfs: Buffer | undefined
  readonly binds: readonly BindOption[]
  readonly tmpfs: readonly Buffer[]
  readonly devices: readonly DeviceOption[]
  readonly workdir: Buffer | undefined
  readonly hostname: string | undefined
  readonly user: {readonly uid: number; readonly gid: number}
  /** Empty: chosen by the supervisor. */
  readonly uidMap: readonly IdMapExtent[]
  readonly gidMap: readonly IdMapExtent[]
  readonly memoryBytes: number | undefined
  readonly pids: number | undefined
  readonly cpus: number | undefined
  readonly network: 'host' | 'none'
  /** An ordinary user's container sees the home of that user, read-only. */
  readonly showsHome: boolean
  readonly readOnly: boolean
}

export interface OutputOptions {
  readonly trace: 'all' | 'none' | 'refused'
  readonly logFile: Buffer | undefined
  readonly logFormat: 'json' | 'text'
  readonly summary: boolean
  readonly quiet: boolean
  /** Passwords are shown as they are. */
  readonly showSecrets: boolean
  readonly manifest: Buffer | undefined
  readonly failOnRefused: boolean
}

/** Paths as typed. */
export interface ExportOption {
  /** `-`: standard output. */
  readonly file: Buffer
  readonly root: Buffer
}

export interface RunOptions {
  /** Never empty. */
  readonly command: readonly Buffer[]
  /** `NAME=value`; what the command gets, with --clear-env and --env applied. */
  readonly environment: readonly Buffer[]
  readonly policy: Policy
  readonly container: ContainerOptions
  readonly output: OutputOptions
  readonly export?: ExportOption
  /** Words of the whole command line behind `interceptor`, to show it again with one more flag. */
  readonly words: readonly Buffer[]
  readonly configuration?: RunConfiguration
  /** How many of `words` belong to interceptor: the command's begin there. */
  readonly ownWords: number
}

export interface ExecOptions extends Pick<RunOptions, 'command' | 'environment' | 'output'> {
  /** Name, or pid of the container's init or of its supervisor. */
  readonly container: string
  /** Undefined: the container's own policy. */
  readonly asked: Policy | undefined
  readonly user: {readonly uid: number; readonly gid: number}
  /** Absolute in the container; undefined: where the container's first command started. */
  readonly workdir: Buffer | undefined
}

/** What a configuration file adds to the flags. */
export interface RunConfiguration {
  readonly file: string | undefined
  /** Lines for the person, without our name. */
  readonly notes: readonly string[]
  /** Undefined: what is denied by default, and no more. */
  readonly denied: ConfiguredDenial | undefined
  /** Ids that are mapped otherwise than the rest. */
  readonly idMap: {readonly uid: readonly IdMapExtent[]; readonly gid: readonly IdMapExtent[]} | undefined
}

/** How the command ended. `run` ends in the same way. */
export type RunEnd =
  {readonly kind: 'exited'; readonly status: number} | {readonly kind: 'signalled'; readonly signal: number}

/** What was started, for the first record of the log. */
export interface StartSummary {
  readonly name: string
  readonly rootless: boolean
  readonly initPid: number
  readonly command: readonly Buffer[]
  readonly workdir: Buffer
  readonly hostname: string
  readonly network: 'host' | 'none'
  readonly uid: number
  readonly gid: number
  readonly uidMap: readonly IdMapExtent[]
  readonly gidMap: readonly IdMapExtent[]
  readonly policy: Policy
  /** The configuration file that was used. */
  readonly configuration?: string
}

/** Where a run tells what happens; src/render/report.ts makes one. A rejection ends the run: no decision may be lost. */
export interface Reporter {
  /** Decisions that it does more with than counting them. */
  readonly wanted: Wanted
  start(summary: StartSummary): Promise<void>
  /** Resolves when the batch has been written. Await it before more is taken from the worker. */
  batch(batch: DecisionBatch): Promise<void>
  /** What was emulated already before the command started. */
  found(entries: readonly ManifestEntry[]): void
  /** One line of ours, e.g. that a configuration file was passed over. Not shown with --quiet. */
  note(text: string): Promise<void>
  /** Bytes that the log's readers, or its file, have taken so far. */
  readonly written: number
  /** Says, where that takes no waiting, that what is not written yet will never be. */
  giveUp(): void
  /** Writes what belongs at the end and resolves when all is written, with how we are to end. */
  end(end: RunEnd): Promise<RunEnd>
}
