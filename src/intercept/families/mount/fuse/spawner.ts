// Programs that the supervisor has started in a container: the other side is native/spawner.c.

import {receiveDescriptors, sendDescriptors, socketPair} from '../../../../ffi/descriptors.js'
import {SystemError, isSystemError} from '../../../../ffi/errors.js'
import {close, closeQuietly, poll, send} from '../../../../ffi/libc.js'
import {MSG_NOSIGNAL, POLLHUP, POLLIN} from '../../../../kernel/constants.js'
import {ERRNO} from '../../../../kernel/errno.js'

// In step with native/spawner.c.
const HEADER_BYTES = 32
const REQUEST_MAX = 65_536
const REPLY_OUTPUT = 1
const REPLY_ENDED = 2
const REPLY_NOT_STARTED = 3
const REPLY_HEAD_BYTES = 8
const REPLY_MAX = 2056
/** What is kept of what a program says: its last words. */
const OUTPUT_MAX = 4096

export interface ProgramRequest {
  /** The program, by path or by name, and its arguments. */
  readonly words: readonly Buffer[]
  /** Of the container. */
  readonly uid: number
  readonly gid: number
  readonly groups: readonly number[]
  /** Capabilities that it may get. */
  readonly bounding: bigint
  readonly noNewPrivileges: boolean
  /** Descriptors of the caller's mount namespace, root and working directory. */
  readonly mountNamespace: number
  readonly root: number
  readonly cwd: number
}

export type ProgramEvent =
  | {readonly kind: 'ended'; readonly status: number}
  | {readonly kind: 'not-started'; readonly errno: number}
  /** Nothing is left that could tell how it ended. */
  | {readonly kind: 'lost'}

/** A program that was asked for. It is killed when this is closed before `release`. */
export class StartedProgram {
  readonly #socket: number
  #output = Buffer.alloc(0)

  constructor(spawner: number, request: ProgramRequest) {
    const bytes = encode(request)
    const [ours, theirs] = socketPair()
    this.#socket = ours
    try {
      sendDescriptors(spawner, bytes, [theirs, request.mountNamespace, request.root, request.cwd])
    } catch (error) {
      closeQuietly(ours)
      throw error
    } finally {
      close(theirs)
    }
  }

  /** What it said last, as bytes. */
  get output(): Buffer {
    return this.#output
  }

  /** What happened within `timeoutMs`; undefined when it only goes on. */
  wait(timeoutMs: number): ProgramEvent | undefined {
    const end = performance.now() + timeoutMs
    for (;;) {
      const left = Math.ceil(end - performance.now())
      if (!this.#isReadable(Math.max(0, left))) return undefined
      const {bytes, descriptors} = receiveDescriptors(this.#socket, REPLY_MAX)
      for (const fd of descriptors) closeQuietly(fd)
      if (bytes.length < REPLY_HEAD_BYTES) return {kind: 'lost'}
      const value = bytes.readInt32LE(4)
      switch (bytes.readInt32LE(0)) {
        case REPLY_OUTPUT:
          this.#output = Buffer.concat([this.#output, bytes.subarray(REPLY_HEAD_BYTES)]).subarray(-OUTPUT_MAX)
          break
        case REPLY_ENDED:
          return {kind: 'ended', status: value}
        case REPLY_NOT_STARTED:
          return {kind: 'not-started', errno: value > 0 && value < 4096 ? value : ERRNO.EIO}
        default:
          return {kind: 'lost'}
      }
      if (left <= 0) return undefined
    }
  }

  /** It is to go on by itself. */
  release(): void {
    try {
      send(this.#socket, Buffer.alloc(1), 1, MSG_NOSIGNAL)
    } catch (error) {
      // It has ended by itself.
      if (!isSystemError(error, ERRNO.EPIPE)) throw error
    }
  }

  close(): void {
    closeQuietly(this.#socket)
  }

  #isReadable(timeoutMs: number): boolean {
    const fds = new Int32Array([this.#socket, POLLIN])
    try {
      poll(fds, 1, timeoutMs)
    } catch (error) {
      if (isSystemError(error, ERRNO.EINTR)) return false
      throw error
    }
    return (new Int16Array(fds.buffer)[3]! & (POLLIN | POLLHUP)) !== 0
  }
}

function encode({words, uid, gid, groups, bounding, noNewPrivileges}: ProgramRequest): Buffer {
  const header = Buffer.alloc(HEADER_BYTES + groups.length * 4)
  header.writeUInt32LE(uid, 0)
  header.writeUInt32LE(gid, 4)
  header.writeUInt32LE(groups.length, 8)
  header.writeUInt32LE(words.length, 12)
  header.writeBigUInt64LE(bounding, 16)
  header.writeUInt32LE(noNewPrivileges ? 1 : 0, 24)
  groups.forEach((group, index) => header.writeUInt32LE(group, HEADER_BYTES + index * 4))
  const bytes = Buffer.concat([header, ...words.flatMap((word) => [word, Buffer.alloc(1)])])
  if (words.some((word) => word.includes(0))) throw new RangeError('a word of a program holds a NUL byte')
  if (bytes.length > REQUEST_MAX) throw new SystemError('execve', ERRNO.E2BIG)
  return bytes
}
