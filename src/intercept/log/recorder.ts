// Decisions of one worker on their way to the main thread: in shared memory, and never more than the log keeps up with.

import {ByteRing} from './byte-ring.js'
import type {CountedDecision, Decision, Outcome, Wanted} from '../decision.js'
import {DecisionEncoder} from './decision-encoder.js'
import {LENGTH_BYTES, RECORD_MAX} from './decision-format.js'
import {BATCH_BYTES_MAX, BATCH_MAX, TRAFFIC} from '../engine/worker-protocol.js'

/** How long a wait for the log lasts before it looks again; a release ends it at once. */
const WAIT_MS = 200
/** Names that are counted before they are handed over, and the room that is kept for them. */
const SILENT_NAMES_MAX = 64
const SILENT_MAX = 4096
const SILENT_BYTES_MAX = SILENT_NAMES_MAX * 128

export interface RecorderOptions {
  /** Shared by all workers. */
  readonly traffic: SharedArrayBuffer
  /** This worker's own; see DecisionCollector.open(). */
  readonly log: SharedArrayBuffer
  readonly wanted: Wanted
  /** Tells the main thread that there is something to take. */
  readonly tell: () => void
}

export class Recorder {
  readonly #traffic: Int32Array
  readonly #ring: ByteRing
  readonly #encoder = new DecisionEncoder()
  readonly #wanted: ReadonlySet<Outcome>
  readonly #wantsCreated: boolean
  readonly #tell: () => void
  /** What the main thread was not told of yet. It may have taken it all the same. */
  #records = 0
  #bytes = 0
  /** Calls that were handed back silently: most of them concern objects that were not emulated, and get no record of their own. */
  readonly #silent = new Map<string, number>()
  #silentCount = 0

  constructor({traffic, log, wanted, tell}: RecorderOptions) {
    this.#traffic = new Int32Array(traffic)
    this.#ring = new ByteRing(log)
    this.#wanted = new Set(wanted.outcomes)
    this.#wantsCreated = wanted.created
    this.#tell = tell
  }

  get hasPending(): boolean {
    return this.#records > 0 || this.#silentCount > 0
  }

  /** Whether anybody will see more of such a decision than that it was made: else count() is enough. */
  wants(outcome: Outcome, created: boolean): boolean {
    return this.#wanted.has(outcome) || (created && this.#wantsCreated)
  }

  add(decision: Decision): void {
    this.#write(this.#encoder.decision(decision))
  }

  count(decision: CountedDecision): void {
    this.#write(this.#encoder.counted(decision))
  }

  countSilent(name: string): void {
    this.#silent.set(name, (this.#silent.get(name) ?? 0) + 1)
    if (++this.#silentCount >= SILENT_MAX || this.#silent.size >= SILENT_NAMES_MAX) this.flush()
  }

  flush(): void {
    if (!this.hasPending) return
    for (const [name, count] of this.#silent) this.#ring.write(this.#encoder.silent(name, count))
    this.#silent.clear()
    this.#silentCount = 0
    this.#records = 0
    this.#bytes = 0
    this.#tell()
  }

  /**
   * To be called before each call that is taken. Returns when the log has room for whatever becomes of it; false where
   * everything is to end before that.
   */
  waitForLog(): boolean {
    while (this.#ring.room < LENGTH_BYTES + RECORD_MAX + SILENT_BYTES_MAX) {
      if (Atomics.load(this.#traffic, TRAFFIC.stopping) !== 0) return false
      this.flush()
      this.#ring.waitForRelease(WAIT_MS)
    }
    return true
  }

  #write(record: Uint8Array): void {
    this.#ring.write(record)
    this.#records++
    this.#bytes += record.length
    if (this.#records >= BATCH_MAX || this.#bytes >= BATCH_BYTES_MAX) this.flush()
  }
}
