// The main thread's side of --handler: one worker runs the user's functions, one call after the other. A call that does
// not come back in time, or takes the worker down, is refused, and a fresh worker goes on with the next.

export interface HandlerCall {
  /** struct seccomp_notif as it was received. */
  readonly bytes: Uint8Array
  readonly receivedMs: number
  readonly name: string
  readonly timeLimitMs: number
}

export interface HandlerLaneOptions<W> {
  readonly start: () => W
  readonly tell: (worker: W, call: HandlerCall) => void
  /** Whether the worker is in a call, and not still loading the modules. */
  readonly isInCall: (worker: W) => boolean
  readonly end: (worker: W) => void
  /** Answers a call in the worker's place. */
  readonly refuse: (call: HandlerCall, reason: string) => void
}

/** What loading the modules may take beside the limit of the call that waits for it. */
const LOAD_MS = 10_000
/** Descriptors of an ended worker stay open: so often, and no more. */
const LOSSES_MAX = 32

export class HandlerLane<W> {
  readonly #options: HandlerLaneOptions<W>
  /** Never longer than the container has threads: each of them waits for its answer. */
  readonly #waiting: HandlerCall[] = []
  #worker: W | undefined
  #current: HandlerCall | undefined
  #timer: NodeJS.Timeout | undefined
  #losses = 0

  constructor(options: HandlerLaneOptions<W>) {
    this.#options = options
  }

  /** Before the first call, so that this need not wait for the modules. */
  start(): void {
    this.#worker ??= this.#options.start()
  }

  give(call: HandlerCall): void {
    this.#waiting.push(call)
    this.#next()
  }

  answered(worker: W): void {
    if (worker !== this.#worker) return
    this.#settle()
    this.#next()
  }

  /** The worker ended: by process.exit() in a handler, or by an error of what a handler had left behind it. */
  gone(worker: W, cause: string): void {
    if (worker !== this.#worker) return
    // A call that it was not in yet has no part in that.
    if (this.#current !== undefined && !this.#options.isInCall(worker)) {
      this.#waiting.unshift(this.#current)
      this.#settle()
    }
    this.#lose(`the worker of the handlers ended: ${cause}`)
  }

  /** Everything ends: nobody waits for answers any more. The worker is told like the others. */
  stop(): void {
    this.#waiting.length = 0
  }

  #next(): void {
    if (this.#current !== undefined) return
    const call = this.#waiting.shift()
    if (call === undefined) return
    if (this.#losses >= LOSSES_MAX) {
      this.#options.refuse(call, `handlers hung or crashed ${LOSSES_MAX} times, and are off for the rest of the run`)
      this.#next()
      return
    }
    const worker = (this.#worker ??= this.#options.start())
    this.#current = call
    this.#options.tell(worker, call)
    this.#arm(worker, call, LOAD_MS)
  }

  #arm(worker: W, call: HandlerCall, loadMs: number): void {
    this.#timer = setTimeout(() => {
      // Its time begins when the modules are loaded.
      if (!this.#options.isInCall(worker) && loadMs > 0) this.#arm(worker, call, loadMs - call.timeLimitMs)
      else this.#lose(`the handler of ${call.name} did not answer within ${call.timeLimitMs} ms`)
    }, call.timeLimitMs).unref()
  }

  #lose(reason: string): void {
    const [worker, call] = [this.#worker, this.#current]
    this.#settle()
    this.#worker = undefined
    this.#losses++
    if (call !== undefined) this.#options.refuse(call, reason)
    if (worker !== undefined) this.#options.end(worker)
    this.#next()
  }

  #settle(): void {
    clearTimeout(this.#timer)
    this.#current = undefined
  }
}
