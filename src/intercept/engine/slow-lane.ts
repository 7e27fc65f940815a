// Hands calls that may block to workers of their own: one call for each worker at a time, and no call waits for another
// while a worker may still be started.

export interface SlowLaneOptions<W, M> {
  readonly start: () => W
  readonly tell: (worker: W, call: M) => void
  /** Workers that there may be at once; 8 when left out. */
  readonly limit?: number
}

const WORKERS_MAX = 8

export class SlowLane<W, M> {
  readonly #options: SlowLaneOptions<W, M>
  readonly #idle: W[] = []
  readonly #busy = new Set<W>()
  /** Never longer than the container has threads: each of them waits for its answer. */
  readonly #waiting: M[] = []

  constructor(options: SlowLaneOptions<W, M>) {
    this.#options = options
  }

  give(call: M): void {
    const {start, limit = WORKERS_MAX} = this.#options
    const worker = this.#idle.pop() ?? (this.#busy.size < limit ? start() : undefined)
    if (worker === undefined) this.#waiting.push(call)
    else this.#tell(worker, call)
  }

  /** `worker` has answered its call. */
  answered(worker: W): void {
    if (!this.#busy.delete(worker)) return
    const next = this.#waiting.shift()
    if (next === undefined) this.#idle.push(worker)
    else this.#tell(worker, next)
  }

  #tell(worker: W, call: M): void {
    this.#busy.add(worker)
    this.#options.tell(worker, call)
  }
}
