// One decision as it travels from a worker to the log. Rendering is src/render's.

import type {Abi} from '../kernel/abi.js'
import type {ManifestEntry} from './family.js'
import type {Hint} from './hint.js'

export type Outcome = 'continued' | 'emulated' | 'failed' | 'refused'

export interface Decision {
  /** Milliseconds since the epoch, when the notification was received. */
  readonly timeMs: number
  readonly latencyUs: number
  /** Ids in the container's pid namespace; 0 where the caller was gone before they could be read. */
  readonly pid: number
  readonly tid: number
  readonly hostPid: number
  readonly uid: number
  readonly gid: number
  readonly comm: string
  readonly abi: Abi
  readonly syscall: string
  /** Decoded values by argument name; undefined where the caller's memory could not be read. */
  readonly values: Readonly<Record<string, unknown>> | undefined
  /** Raw registers, for what could not be decoded. */
  readonly registers: readonly bigint[] | undefined
  readonly outcome: Outcome
  readonly strategy: string | null
  /** Return value; null for `continued`. */
  readonly result: number | null
  /** Positive errno; null where the call succeeded or was continued. */
  readonly errno: number | null
  readonly reason: string
  readonly hint: Hint | null
  readonly created: ManifestEntry | undefined
}

/** A decision of which nobody wants to see more than that it was made. */
export type CountedDecision = Pick<Decision, 'latencyUs' | 'outcome' | 'syscall'>

/** Which decisions are worth more than counting. */
export interface Wanted {
  readonly outcomes: readonly Outcome[]
  /** Also every other that tells of an emulated object. */
  readonly created: boolean
}

export const EVERYTHING_WANTED: Wanted = {outcomes: ['continued', 'emulated', 'failed', 'refused'], created: true}

/** What the main thread takes from a worker at once, in the order in which it was decided. */
export interface DecisionBatch {
  readonly decisions: readonly (CountedDecision | Decision)[]
  /** Calls that were continued silently since the last batch, by name. */
  readonly silent: Readonly<Record<string, number>>
}

/** Not one that was only counted. */
export function isTold(decision: CountedDecision | Decision): decision is Decision {
  return 'reason' in decision
}
