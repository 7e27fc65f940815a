// Decisions of one worker on their way to the main thread: in batches, and never more than the log keeps up with.

import type {Decision, DecisionBatch} from './decision.js'
import {BATCH_MAX, OUTSTANDING_MAX, TRAFFIC} from './worker-protocol.js'

/** How long a wait for the log lasts before it looks again; a notify ends it at once. */
const WAIT_MS = 200

export class Recorder {
  readonly #traffic: Int32Array
  readonly #send: (batch: DecisionBatch) => void
  #decisions: Decision[] = []
  #quiet: Record<string, number> = {}
  #quietCount = 0

  constructor(traffic: SharedArrayBuffer, send: (batch: DecisionBatch) => void) {
    this.#traffic = new Int32Array(traffic)
    this.#send = send
  }

  get hasPending(): boolean {
    return this.#decisions.length > 0 || this.#quietCount > 0
  }

  add(decision: Decision): void {
    this.#decisions.push(decision)
    if (this.#decisions.length >= BATCH_MAX) this.flush()
  }

  countQuiet(name: string): void {
    this.#quiet[name] = (this.#quiet[name] ?? 0) + 1
    this.#quietCount++
  }

  flush(): void {
    if (!this.hasPending) return
    const decisions = this.#decisions
    const quiet = this.#quiet
    this.#decisions = []
    this.#quiet = {}
    this.#quietCount = 0
    Atomics.add(this.#traffic, TRAFFIC.outstanding, decisions.length)
    this.#send({kind: 'decisions', decisions, quiet})
  }

  /** Returns when the log has caught up, or everything is to end. What is pending here is bounded by BATCH_MAX. */
  waitForLog(): void {
    for (;;) {
      const outstanding = Atomics.load(this.#traffic, TRAFFIC.outstanding)
      if (outstanding < OUTSTANDING_MAX || Atomics.load(this.#traffic, TRAFFIC.stopping) !== 0) return
      Atomics.wait(this.#traffic, TRAFFIC.outstanding, outstanding, WAIT_MS)
    }
  }
}
