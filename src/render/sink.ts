// Where log lines go: standard error or a file, through fs.write and never through process.stderr, which would make the
// command's own descriptor non-blocking (libuv sets O_NONBLOCK on the open file description, which is shared).

import {write as fsWrite} from 'node:fs'

import {LaunchError} from '../errors.js'

/** One write(2) at most; whole lines, unless one line alone is longer. */
const chunkBytes = 64 * 1024
const retryMsMax = 50

export interface SinkOptions {
  readonly fd: number
  /** For errors: `standard error` or the file's name. */
  readonly name: string
  /** The terminal at `fd` is raw now, so that lines must end in CRLF. */
  readonly isRaw?: (fd: number) => boolean
  /** For tests. */
  readonly write?: (fd: number, bytes: Uint8Array) => Promise<number>
}

interface Waiting {
  readonly text: string
  readonly done: () => void
  readonly failed: (error: Error) => void
}

/** Writes in order, one write in flight. A write that fails fails everything behind it: nothing is left out silently. */
export class Sink {
  readonly #options: Required<SinkOptions>
  readonly #queue: Waiting[] = []
  #pump: Promise<void> | undefined
  #failure: Error | undefined
  #written = 0

  constructor(options: SinkOptions) {
    this.#options = {isRaw: () => false, write: writeOnce, ...options}
  }

  /** Bytes that the kernel has. */
  get written(): number {
    return this.#written
  }

  /** Whether it has been given more than that. */
  get isBehind(): boolean {
    return this.#pump !== undefined
  }

  /** Lines with their newlines. Resolves when the kernel has them; awaiting it is what bounds the queue. */
  write(text: string): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    if (text === '') return this.flush()
    return new Promise((done, failed) => {
      this.#queue.push({text, done, failed})
      this.#pump ??= this.#drain()
    })
  }

  /** Resolves when all that was given has been written. */
  async flush(): Promise<void> {
    while (this.#pump !== undefined) await this.#pump
    if (this.#failure !== undefined) throw this.#failure
  }

  async #drain(): Promise<void> {
    // The queue of this turn of the event loop goes out together.
    await Promise.resolve()
    while (this.#queue.length > 0) {
      const taken = this.#take()
      try {
        const text = taken.map((waiting) => waiting.text).join('')
        await this.#writeAll(Buffer.from(this.#options.isRaw(this.#options.fd) ? text.replaceAll('\n', '\r\n') : text))
        for (const waiting of taken) waiting.done()
      } catch (cause) {
        this.#failure = new LaunchError(`cannot write the log to ${this.#options.name}`, {cause})
        for (const waiting of [...taken, ...this.#queue.splice(0)]) waiting.failed(this.#failure)
      }
    }
    this.#pump = undefined
  }

  #take(): readonly Waiting[] {
    let count = 1
    let length = this.#queue[0]!.text.length
    while (count < this.#queue.length && length + this.#queue[count]!.text.length <= chunkBytes) {
      length += this.#queue[count]!.text.length
      count += 1
    }
    return this.#queue.splice(0, count)
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    let rest = bytes
    let waitMs = 1
    while (rest.length > 0) {
      try {
        const written = await this.#options.write(this.#options.fd, rest)
        this.#written += written
        rest = rest.subarray(written)
        waitMs = 1
      } catch (error) {
        // Somebody else made the description non-blocking and its reader is slow: wait, lose nothing.
        if (!hasCode(error, 'EAGAIN')) throw error
        await new Promise((resolve) => setTimeout(resolve, waitMs))
        waitMs = Math.min(waitMs * 2, retryMsMax)
      }
    }
  }
}

export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}

function writeOnce(fd: number, bytes: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => {
    fsWrite(fd, bytes, (error, written) => {
      if (error === null) resolve(written)
      else reject(error)
    })
  })
}
