// The main thread's side of the log: takes what workers left in the memory that they share with it, and has it written.

import {setImmediate} from 'node:timers/promises'

import {ByteRing} from './byte-ring.js'
import type {Decision, DecisionBatch} from '../decision.js'
import {DecisionDecoder} from './decision-decoder.js'
import {RING_BYTES} from '../engine/worker-protocol.js'
import {keepYoungGenerationSmall} from '../engine/young-generation.js'

export interface DecisionCollectorOptions {
  /** Writes a batch; batches come one after the other. */
  readonly write: (batch: DecisionBatch) => Promise<void> | void
  /** A batch could not be written. Those behind it are still taken, or workers would wait for ever. */
  readonly failed: (error: unknown) => void
}

/** One worker's. */
interface Source {
  readonly memory: SharedArrayBuffer
  readonly ring: ByteRing
  readonly decoder: DecisionDecoder
}

/** Bytes that are decoded at once, unless one record alone has more. */
const CHUNK_BYTES = 64 * 1024
/** More than this makes a long run. */
const DECISIONS_MANY = 2000

export class DecisionCollector {
  readonly #options: DecisionCollectorOptions
  readonly #sources: Source[] = []
  readonly #own: Decision[] = []
  #chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES)
  #isRunning = false
  #isWoken = false
  #written = 0
  #running: Promise<void> = Promise.resolve()

  constructor(options: DecisionCollectorOptions) {
    this.#options = options
  }

  /** Memory for a worker's decisions. It is looked at to the end, even where the worker never ends. */
  open(): SharedArrayBuffer {
    const memory = ByteRing.memory(RING_BYTES)
    this.#sources.push({memory, ring: new ByteRing(memory), decoder: new DecisionDecoder()})
    return memory
  }

  /** The worker has ended: what it left is still taken. */
  async close(memory: SharedArrayBuffer): Promise<void> {
    await this.drained()
    const index = this.#sources.findIndex((source) => source.memory === memory)
    if (index !== -1) this.#sources.splice(index, 1)
  }

  /** A decision of the main thread itself. */
  add(decision: Decision): void {
    this.#own.push(decision)
    this.wake()
  }

  /** Takes what is there now. */
  wake(): void {
    this.#isWoken = true
    if (this.#isRunning) return
    this.#isRunning = true
    this.#running = this.#run().catch((error: unknown) => this.#options.failed(error))
  }

  /** Workers that wait for room are to look whether everything ends. */
  wakeWriters(): void {
    for (const {ring} of this.#sources) ring.wakeWriter()
  }

  /** Resolves when all that is there now has been written. */
  async drained(): Promise<void> {
    this.wake()
    await this.#running
  }

  /** What comes meanwhile waits for the next wake(): to go after each decision would be a write for each. */
  async #run(): Promise<void> {
    try {
      while (this.#isWoken) {
        this.#isWoken = false
        for (const source of [...this.#sources]) await this.#take(source)
        if (this.#own.length > 0) await this.#write({decisions: this.#own.splice(0), silent: {}})
      }
    } finally {
      this.#isRunning = false
    }
  }

  async #take(source: Source): Promise<void> {
    for (let left = source.ring.unread; left > 0;) {
      const {batch, length} = this.#decode(source)
      await this.#write(batch)
      // Only now: what waits to be written counts as unread.
      source.ring.release(length)
      left -= length
      // A flood of decisions must not keep signals and timers waiting.
      if (left > 0) await setImmediate()
    }
  }

  #decode({decoder, ring}: Source): ReturnType<DecisionDecoder['decode']> {
    let bytes = this.#chunk.subarray(0, ring.peek(this.#chunk))
    const first = DecisionDecoder.recordLength(bytes)
    if (first > bytes.length) {
      const large = Buffer.allocUnsafeSlow(first)
      bytes = large.subarray(0, ring.peek(large))
    }
    return decoder.decode(bytes)
  }

  async #write(batch: DecisionBatch): Promise<void> {
    const before = this.#written
    this.#written += batch.decisions.length
    if (before < DECISIONS_MANY && this.#written >= DECISIONS_MANY) keepYoungGenerationSmall()
    try {
      await this.#options.write(batch)
    } catch (error) {
      this.#options.failed(error)
    }
  }
}
