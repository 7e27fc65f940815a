// Asks what is behind a standard stream. Reading process.stderr for it would change the mode of the shared descriptor.

import {POLLOUT} from '../kernel/constants.js'
import {declareInt} from './declare.js'
import {poll} from './libc.js'

const callIsatty = declareInt('isatty', ['fd'])
// Once: each declaration holds memory of koffi's until V8 collects all garbage, and this is asked for each write.
const callTcgetattr = declareInt('tcgetattr', ['fd', 'buffer'])

const OPOST = 1
/** c_oflag is the second of four 32-bit words, in glibc's and musl's struct termios; 64 bytes hold either. */
const termiosBytes = 64
const oflagOffset = 4

/** isatty(3), without node:tty, which takes milliseconds to load. */
export function isTerminal(fd: number): boolean {
  return callIsatty(fd) === 1
}

/** The terminal at `fd` does not turn a newline into carriage return and newline: it is raw. False for anything else. */
export function isRawTerminal(fd: number): boolean {
  const termios = Buffer.alloc(termiosBytes)
  if (callTcgetattr(fd, termios) !== 0) return false
  return (termios.readUInt32LE(oflagOffset) & OPOST) === 0
}

/** Whether a line of a page at most can be written to `fd` without waiting (poll(2), pipe(7)). */
export function isReady(fd: number): boolean {
  const request = Buffer.alloc(8)
  request.writeInt32LE(fd)
  request.writeInt16LE(POLLOUT, 4)
  poll(request, 1, 0)
  return request.readInt16LE(6) === POLLOUT
}
