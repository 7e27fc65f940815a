// Records of 16 bytes to and from interceptor-init. In step with native/interceptor-init.h.

import type {Duplex} from 'node:stream'

export const MESSAGES = {
  inner: 1,
  mapped: 2,
  failed: 3,
  staged: 4,
  ready: 5,
  go: 6,
  signal: 7,
  ask: 8,
  answer: 9,
  stopped: 10,
  continue: 11,
  ended: 12,
  gone: 13,
  bye: 14,
  kill: 15,
} as const

export interface Message {
  readonly type: number
  readonly a: number
  readonly b: number
  readonly c: number
}

const MESSAGE_BYTES = 16

export class Channel {
  readonly #stream: Duplex
  #pending = Buffer.alloc(0)

  constructor(stream: Duplex, receive: (message: Message) => void, closed: () => void) {
    this.#stream = stream
    stream.on('data', (bytes: Buffer) => {
      this.#pending = Buffer.concat([this.#pending, bytes])
      while (this.#pending.length >= MESSAGE_BYTES) {
        const record = this.#pending.subarray(0, MESSAGE_BYTES)
        this.#pending = this.#pending.subarray(MESSAGE_BYTES)
        receive({
          type: record.readInt32LE(0),
          a: record.readInt32LE(4),
          b: record.readInt32LE(8),
          c: record.readInt32LE(12),
        })
      }
    })
    // The other side may be gone at any time (EPIPE, ECONNRESET); that it is gone is all there is to know.
    stream.on('error', () => undefined)
    // What was sent is read by then; Node would take a while longer to take the stream apart.
    let isClosed = false
    const close = (): void => {
      if (!isClosed) closed()
      isClosed = true
    }
    stream.on('end', close)
    stream.on('close', close)
  }

  send(type: number, a = 0): void {
    if (!this.#stream.writable) return
    const record = Buffer.alloc(MESSAGE_BYTES)
    record.writeInt32LE(type, 0)
    record.writeInt32LE(a, 4)
    this.#stream.write(record)
  }
}
