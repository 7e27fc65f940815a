// What the main thread and the workers tell each other: messages, and two small pieces of shared memory.

import type {ContainerDescription} from '../container.js'
import type {Wanted} from '../decision.js'
import type {HandlerCall} from './handler-lane.js'
import type {Policy} from '../policy.js'
import type {Restored} from '../family.js'

/** hot: takes notifications from the listener. slow, handler: answer those that are handed to them. */
export type Lane = 'handler' | 'hot' | 'slow'

/** The first message to a worker. */
export interface WorkerStart {
  readonly lane: Lane
  /** For the worker's own composition: functions don't cross between threads. */
  readonly policy: Policy
  readonly rootless: boolean
  /** File URLs of modules that export `family`, beside those that are shipped. */
  readonly familyModules: readonly string[]
  /** Shared by all workers of one supervisor; see TRAFFIC. */
  readonly traffic: SharedArrayBuffer
  /** This worker's own; see PULSE. */
  readonly pulse: SharedArrayBuffer
  /** This worker's own, a ByteRing: its decisions. */
  readonly log: SharedArrayBuffer
  readonly wanted: Wanted
  /** Becomes readable when the hot worker is to end. */
  readonly stopEvent: number
}

export interface Attachment {
  readonly listener: number
  readonly container: ContainerDescription
  /** By name of the family: what it gives each of its workers. */
  readonly shared: Readonly<Record<string, unknown>>
}

/** A call for another worker; `name` and `timeLimitMs` are for the lane `handler`. */
export interface HandedOver extends HandlerCall {
  readonly kind: 'notification'
  readonly lane: 'handler' | 'slow'
}

export type ToWorker =
  /** `isFirst`: nobody has supervised this container yet. */
  | ({readonly kind: 'attach'; readonly isFirst: boolean} & Attachment)
  /** struct seccomp_notif as it was received. */
  | {readonly kind: 'notification'; readonly bytes: Uint8Array; readonly receivedMs: number}
  | {readonly kind: 'stop'}

export type FromWorker =
  /** There are decisions in the worker's `log`. */
  | {readonly kind: 'decisions'}
  | HandedOver
  /** The slow worker is ready for another call. */
  | {readonly kind: 'answered'}
  /** The answer to the first `attach`: from now on calls are answered. */
  | ({readonly kind: 'restored'} & Restored)
  /** `hangup`: nobody who carries the filter is left. */
  | {readonly kind: 'end'; readonly reason: 'hangup' | 'replaced' | 'stop'}

/** Int32 words that all workers share with the main thread. */
export const TRAFFIC = {
  /** 1 when everything is to end: nobody waits any more. */
  stopping: 0,
  words: 1,
} as const

/** Int32 words of one worker. */
export const PULSE = {
  /** Odd while a call is being answered; goes up at its begin and end. */
  beat: 0,
  /** 1 when another worker has taken over: to end after the call that it is in. */
  replaced: 1,
  words: 2,
} as const

/** Memory for the decisions of one worker that wait for the log; without room there no call is taken. */
export const RING_BYTES = 1024 * 1024
/** The main thread is told after so many decisions, or bytes of them, if not before. */
export const BATCH_MAX = 256
export const BATCH_BYTES_MAX = 64 * 1024
