// Bytes from one thread to another through shared memory of a fixed size: what is written is there for the reader even
// where the writer never comes back from what it does next.

/** Int32 words before the bytes: how far the reader has come, and the writer. They are equal where nothing is unread. */
const READ = 0
const WRITTEN = 1
const HEADER_BYTES = 8

/** One thread writes and one reads, each with a ByteRing of its own over the same memory. */
export class ByteRing {
  readonly #positions: Int32Array
  readonly #bytes: Uint8Array

  constructor(memory: SharedArrayBuffer) {
    this.#positions = new Int32Array(memory, 0, 2)
    this.#bytes = new Uint8Array(memory, HEADER_BYTES)
  }

  /** Pages of it that were never written take no memory. */
  static memory(bytes: number): SharedArrayBuffer {
    return new SharedArrayBuffer(HEADER_BYTES + bytes)
  }

  get unread(): number {
    const distance = Atomics.load(this.#positions, WRITTEN) - Atomics.load(this.#positions, READ)
    return distance < 0 ? distance + this.#bytes.length : distance
  }

  /** One byte stays free, so that full and empty differ. */
  get room(): number {
    return this.#bytes.length - 1 - this.unread
  }

  /** The reader sees all of it or nothing. There must be room. */
  write(bytes: Uint8Array): void {
    const ring = this.#bytes
    if (bytes.length > this.room) throw new RangeError('there is no room in the ring')
    const at = Atomics.load(this.#positions, WRITTEN)
    const untilEnd = ring.length - at
    if (bytes.length <= untilEnd) ring.set(bytes, at)
    else {
      ring.set(bytes.subarray(0, untilEnd), at)
      ring.set(bytes.subarray(untilEnd))
    }
    Atomics.store(this.#positions, WRITTEN, (at + bytes.length) % ring.length)
  }

  /** Copies unread bytes, as many as there are and `target` holds; they stay unread. Returns how many. */
  peek(target: Uint8Array): number {
    const ring = this.#bytes
    const length = Math.min(this.unread, target.length)
    const at = Atomics.load(this.#positions, READ)
    const untilEnd = Math.min(length, ring.length - at)
    target.set(ring.subarray(at, at + untilEnd))
    if (length > untilEnd) target.set(ring.subarray(0, length - untilEnd), untilEnd)
    return length
  }

  /** The writer may use the space of so many unread bytes again. */
  release(length: number): void {
    const at = Atomics.load(this.#positions, READ)
    Atomics.store(this.#positions, READ, (at + length) % this.#bytes.length)
    this.wakeWriter()
  }

  /** For the writer: returns when the reader has released something, after wakeWriter(), or after `timeoutMs`. */
  waitForRelease(timeoutMs: number): void {
    const at = Atomics.load(this.#positions, READ)
    if (this.unread > 0) Atomics.wait(this.#positions, READ, at, timeoutMs)
  }

  wakeWriter(): void {
    Atomics.notify(this.#positions, READ)
  }
}
