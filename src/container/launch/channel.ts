// Records of 16 bytes to and from interceptor-init. In step with native/interceptor-init.h.

import {Socket} from 'node:net'

import {SystemError, isSystemError} from '../../ffi/errors.js'
import {close, poll, recv, retryInterrupted, send} from '../../ffi/libc.js'
import {MSG_NOSIGNAL, POLLIN} from '../../kernel/constants.js'
import {ERRNO} from '../../kernel/errno.js'

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
  confirm: 16,
} as const

export interface Message {
  readonly type: number
  readonly a: number
  readonly b: number
  readonly c: number
}

const MESSAGE_BYTES = 16
/** struct pollfd. */
const POLLFD_BYTES = 8

/**
 * One end of a stream socket, ours to close. While the container is launched, which takes some milliseconds, there is
 * nothing else to do: messages are waited for. Afterwards they are followed by Node's event loop.
 */
export class Channel {
  readonly #fd: number
  readonly #record = Buffer.alloc(MESSAGE_BYTES)
  #stream: Socket | undefined
  #received = 0
  #isOpen = true

  constructor(fd: number) {
    this.#fd = fd
  }

  /** Waits for a message on any of these; undefined when all are at their end. The thread does nothing else. */
  static next(channels: readonly Channel[]): Message | undefined {
    for (;;) {
      const open = channels.filter((channel) => channel.#isOpen)
      if (open.length === 0) return undefined
      const fds = Buffer.alloc(POLLFD_BYTES * open.length)
      open.forEach((channel, index) => {
        fds.writeInt32LE(channel.#fd, index * POLLFD_BYTES)
        fds.writeInt16LE(POLLIN, index * POLLFD_BYTES + 4)
      })
      retryInterrupted(() => poll(fds, open.length, -1))
      const ready = open.find((_, index) => fds.readInt16LE(index * POLLFD_BYTES + 6) !== 0)
      const message = ready === undefined ? undefined : ready.#receive()
      if (message !== undefined) return message
    }
  }

  /** For a moment with nothing else to do: bin/load.js loads this module of Node when it is first touched. */
  static prepareToFollow(): void {
    Reflect.get(Socket, 'prototype')
  }

  /** Hands each further message on, and tells once when the other side is gone. */
  follow(receive: (message: Message) => void, closed: () => void): void {
    if (!this.#isOpen) {
      closed()
      return
    }
    this.#isOpen = false
    this.#stream = new Socket({fd: this.#fd, readable: true, writable: true})
    this.#stream.on('data', (bytes: Buffer) => {
      for (let offset = 0; offset < bytes.length;) {
        const taken = bytes.copy(this.#record, this.#received, offset)
        offset += taken
        const message = this.#take(taken)
        if (message !== undefined) receive(message)
      }
    })
    // The other side may be gone at any time (EPIPE, ECONNRESET); that it is gone is all there is to know.
    this.#stream.on('error', () => undefined)
    // What was sent is read by then; Node would take a while longer to take the stream apart.
    let isClosed = false
    const close = (): void => {
      if (!isClosed) closed()
      isClosed = true
    }
    this.#stream.on('end', close)
    this.#stream.on('close', close)
  }

  /** Nothing happens where the other side is gone: the end of the stream tells. */
  send(type: number, a = 0): void {
    const record = Buffer.alloc(MESSAGE_BYTES)
    record.writeInt32LE(type, 0)
    record.writeInt32LE(a, 4)
    if (this.#stream?.writable === true) this.#stream.write(record)
    else if (this.#isOpen) this.#sendNow(record)
  }

  /** Of a record that may come in pieces, the rest or a part of it. */
  #receive(): Message | undefined {
    let taken = 0
    try {
      const rest = this.#record.subarray(this.#received)
      taken = retryInterrupted(() => recv(this.#fd, rest, rest.length, 0))
    } catch (error) {
      if (!(error instanceof SystemError)) throw error
    }
    if (taken > 0) return this.#take(taken)
    this.#isOpen = false
    close(this.#fd)
    return undefined
  }

  #take(bytes: number): Message | undefined {
    this.#received += bytes
    if (this.#received < MESSAGE_BYTES) return undefined
    this.#received = 0
    const [type, a, b, c] = [0, 4, 8, 12].map((offset) => this.#record.readInt32LE(offset))
    return {type: type!, a: a!, b: b!, c: c!}
  }

  #sendNow(record: Buffer): void {
    try {
      retryInterrupted(() => send(this.#fd, record, record.length, MSG_NOSIGNAL))
    } catch (error) {
      if (!isSystemError(error, ERRNO.EPIPE) && !isSystemError(error, ERRNO.ECONNRESET)) throw error
    }
  }
}
