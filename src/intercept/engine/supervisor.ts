// The main thread's side of supervision: starts the workers, hands them a listener, takes their decisions, watches them.

import type {Worker} from 'node:worker_threads'

import {close, eventfd, write} from '../../ffi/libc.js'
import {EFD_CLOEXEC, EFD_NONBLOCK} from '../../kernel/constants.js'
import type {Composition} from '../composition.js'
import type {ContainerDescription} from '../container.js'
import {EVERYTHING_WANTED} from '../decision.js'
import type {DecisionBatch, Wanted} from '../decision.js'
import type {Restored} from '../family.js'
import {DecisionCollector} from '../log/decision-collector.js'
import {NOT_ATTACHED, attachFamilies} from './attached.js'
import {HandlerLane} from './handler-lane.js'
import type {HandlerCall} from './handler-lane.js'
import {Refuser} from './refusal.js'
import {SlowLane} from './slow-lane.js'
import {PULSE, TRAFFIC} from './worker-protocol.js'
import type {Attachment, FromWorker, Lane, ToWorker} from './worker-protocol.js'
import {startWorker} from './worker-thread.js'

export interface SupervisorOptions {
  readonly composition: Composition
  /** File URLs of modules that export `family` (--handler). */
  readonly familyModules?: readonly string[]
  /** Everything, when left out. The other decisions are only counted. */
  readonly wanted?: Wanted
  /** Writes a batch. Supervision waits when too many are not written; a rejection is fatal. */
  readonly onBatch: (batch: DecisionBatch) => Promise<void> | void
  /** Supervision can't go on: the container is to be ended. Called once. */
  readonly onFatal: (error: Error) => void
  /** How long a worker may be in one call before another takes its place; 2000 when left out. */
  readonly stuckMs?: number
}

export interface Supervised {
  readonly listener: number
  readonly container: ContainerDescription
  /** By name of the family: what it kept when the container was prepared for it. */
  readonly kept?: Readonly<Record<string, unknown>>
}

export interface Supervisor {
  /**
   * Begins. The listener stays the caller's: it is closed by nobody here. Resolves when the command may start, with
   * what an earlier run left and this one has taken up: nothing where supervision ended before.
   */
  attach(supervised: Supervised): Promise<Restored>
  /** Ends the loop and resolves when the last batch has been written. Safe to call twice, and without attach. */
  stop(): Promise<void>
  /** Resolves when the last task with the filter is gone, or after stop(); all batches are written then. */
  readonly ended: Promise<void>
  /** Workers that were still in a call, each blocked in the kernel, when supervision ended. */
  readonly stuckWorkers: number
}

/** Fresh workers that may take over from stuck ones. */
const REPLACEMENTS_MAX = 4
const STUCK_MS = 2000
const NOTHING: Restored = {entries: [], notes: []}
/** How long stop() waits for workers that do not come back. */
const STOP_GRACE_MS = 1000

/** Starts the hot worker at once, so that its start overlaps with the launch of the container. */
export function createSupervisor(options: SupervisorOptions): Supervisor {
  return new ThreadSupervisor(options)
}

interface Watched {
  readonly worker: Worker
  readonly lane: Lane
  readonly pulse: Int32Array
  /** See DecisionCollector.open(). */
  readonly log: SharedArrayBuffer
  /** The odd beat that was seen last, and when it was seen first. */
  beat: number
  sinceMs: number
  isReplaced: boolean
}

class ThreadSupervisor implements Supervisor {
  readonly ended: Promise<void>
  readonly #options: SupervisorOptions
  readonly #traffic = new SharedArrayBuffer(TRAFFIC.words * 4)
  readonly #stopEvent = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
  readonly #workers = new Set<Watched>()
  readonly #stuckMs: number
  readonly #slow = new SlowLane<Watched, ToWorker>({
    start: () => this.#start('slow'),
    tell: (watched, message) => this.#tell(watched, message),
  })
  readonly #handlers = new HandlerLane<Watched>({
    start: () => this.#start('handler'),
    tell: (watched, call) => this.#tell(watched, {...call, kind: 'notification'}),
    isInCall: ({pulse}) => Atomics.load(pulse, PULSE.beat) % 2 === 1,
    end: ({worker}) => void worker.terminate(),
    refuse: (call, reason) => this.#refuse(call, reason),
  })
  #refuser: Refuser | undefined
  #attachment: Attachment | undefined
  #families = NOT_ATTACHED
  #timer: NodeJS.Timeout | undefined
  #replacements = 0
  #isEnding = false
  #hasFailed = false
  #isClosed = false
  readonly #collector = new DecisionCollector({
    write: (batch) => this.#options.onBatch(batch),
    failed: (error) => this.#fail(error),
  })
  #resolveEnded: () => void = () => undefined
  readonly #restored: Promise<Restored>
  #resolveRestored: (restored: Restored) => void = () => undefined

  constructor(options: SupervisorOptions) {
    this.#options = options
    this.#stuckMs = options.stuckMs ?? STUCK_MS
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve
    })
    this.#restored = new Promise((resolve) => {
      this.#resolveRestored = resolve
    })
    this.#start('hot')
  }

  get stuckWorkers(): number {
    return this.#workers.size
  }

  attach({listener, container, kept}: Supervised): Promise<Restored> {
    if (this.#attachment !== undefined) throw new Error('a supervisor takes one listener')
    const {families, calls} = this.#options.composition
    this.#families = attachFamilies(families, container, kept)
    if (!this.#families.restores) this.#resolveRestored(NOTHING)
    this.#attachment = {listener, container, shared: this.#families.shared}
    for (const watched of this.#workers) this.#tell(watched, {kind: 'attach', isFirst: true, ...this.#attachment})
    if ([...calls.values()].some(({call}) => call.lane === 'handler')) this.#handlers.start()
    // Not unref'd workers but the container keep the process alive; a timer must not.
    this.#timer = setInterval(() => this.#watch(), Math.max(20, this.#stuckMs / 4)).unref()
    return this.#restored
  }

  async stop(): Promise<void> {
    this.#beginEnd()
    await this.ended
  }

  #start(lane: Lane): Watched {
    const pulse = new SharedArrayBuffer(PULSE.words * 4)
    const log = this.#collector.open()
    const {composition, familyModules = [], wanted = EVERYTHING_WANTED} = this.#options
    const {policy, rootless} = composition
    const shared = {traffic: this.#traffic, pulse, log, stopEvent: this.#stopEvent}
    const worker = startWorker(lane, {lane, policy, rootless, familyModules, wanted, ...shared})
    const watched: Watched = {worker, lane, pulse: new Int32Array(pulse), log, beat: 0, sinceMs: 0, isReplaced: false}
    this.#workers.add(watched)
    worker.on('message', (message: FromWorker) => this.#receive(watched, message))
    worker.on('error', (error: unknown) => this.#crashed(watched, error))
    worker.on('exit', () => this.#forget(watched))
    if (this.#attachment !== undefined) this.#tell(watched, {kind: 'attach', isFirst: false, ...this.#attachment})
    return watched
  }

  #tell({worker}: Watched, message: ToWorker): void {
    worker.postMessage(message)
  }

  #receive(watched: Watched, message: FromWorker): void {
    switch (message.kind) {
      case 'decisions':
        this.#collector.wake()
        break
      case 'notification':
        if (message.lane === 'handler') this.#handlers.give(message)
        else this.#slow.give(message)
        break
      case 'answered':
        if (watched.lane === 'handler') this.#handlers.answered(watched)
        else this.#slow.answered(watched)
        break
      case 'restored':
        this.#resolveRestored({entries: message.entries.map(restore), notes: message.notes})
        break
      case 'end':
        // What the user's module has left running must not keep its worker.
        if (watched.lane === 'handler') void watched.worker.terminate()
        else {
          if (message.reason !== 'replaced') this.#beginEnd()
          // It has said its last: what Node has to do to end the thread is not waited for.
          this.#forget(watched)
        }
        break
      default:
        message satisfies never
    }
  }

  /** A worker that is in one call for long leaves the listener to a fresh one, and ends after that call. */
  #watch(): void {
    // One that is stuck can't tell what it had decided before.
    this.#collector.wake()
    const now = performance.now()
    for (const watched of this.#workers) {
      const beat = Atomics.load(watched.pulse, PULSE.beat)
      if (beat % 2 === 0 || beat !== watched.beat) {
        watched.beat = beat
        watched.sinceMs = now
      } else if (watched.lane === 'hot' && !watched.isReplaced && now - watched.sinceMs >= this.#stuckMs)
        this.#replace(watched)
    }
  }

  #replace(watched: Watched): void {
    if (this.#isEnding || this.#replacements >= REPLACEMENTS_MAX) return
    this.#replacements++
    watched.isReplaced = true
    Atomics.store(watched.pulse, PULSE.replaced, 1)
    this.#start('hot')
  }

  #crashed(watched: Watched, error: unknown): void {
    if (watched.lane !== 'handler') this.#fail(error)
    else if (!this.#isEnding) this.#handlers.gone(watched, error instanceof Error ? error.message : String(error))
  }

  #refuse(call: HandlerCall, reason: string): void {
    if (this.#attachment === undefined) return
    this.#refuser ??= new Refuser(this.#attachment)
    const decision = this.#refuser.refuse(call, reason)
    if (decision === undefined) return
    this.#collector.add(decision)
  }

  #forget(watched: Watched): void {
    this.#workers.delete(watched)
    void this.#collector.close(watched.log)
    if (watched.lane === 'handler' && !this.#isEnding) this.#handlers.gone(watched, 'it left by itself')
    const isGone = ![...this.#workers].some(({lane, isReplaced}) => lane === 'hot' && !isReplaced)
    if (isGone && !this.#isEnding) this.#fail(new Error('the worker ended by itself'))
    if (this.#workers.size === 0) this.#finish()
  }

  #beginEnd(): void {
    if (this.#isEnding) return
    this.#isEnding = true
    clearInterval(this.#timer)
    this.#families.stop()
    Atomics.store(new Int32Array(this.#traffic), TRAFFIC.stopping, 1)
    this.#collector.wakeWriters()
    if (!this.#isClosed) write(this.#stopEvent, new BigUint64Array([1n]), 8)
    // The hot worker looks at the event; before it has a listener, and on the slow lane, messages are read.
    for (const watched of this.#workers) this.#tell(watched, {kind: 'stop'})
    this.#handlers.stop()
    setTimeout(() => this.#finish(), STOP_GRACE_MS).unref()
    if (this.#workers.size === 0) this.#finish()
  }

  #finish(): void {
    // The event is left open where a stuck worker will look at it once more.
    void this.#collector.drained().then(() => {
      if (this.#workers.size === 0 && !this.#isClosed) {
        this.#isClosed = true
        close(this.#stopEvent)
      }
      this.#resolveRestored(NOTHING)
      this.#resolveEnded()
    })
  }

  #fail(error: unknown): void {
    if (this.#hasFailed) return
    this.#hasFailed = true
    this.#resolveRestored(NOTHING)
    this.#options.onFatal(error instanceof Error ? error : new Error(String(error)))
  }
}

/** A Buffer arrives from another thread as a plain Uint8Array. */
function restore<T extends object>(values: T): T {
  const entries = Object.entries(values).map(([name, value]: [string, unknown]) => [name, asBuffer(value)])
  return Object.fromEntries(entries) as T
}

function asBuffer(value: unknown): unknown {
  if (!(value instanceof Uint8Array)) return value
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
}
