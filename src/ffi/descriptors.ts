// Descriptors over a socket (SCM_RIGHTS, unix(7)), with the structures of 64-bit machines laid out by hand.

import {MSG_NOSIGNAL} from '../kernel/constants.js'
import {ERRNO} from '../kernel/errno.js'
import {addressOf, declareLong} from './declare.js'
import {SystemError} from './errors.js'
import {retryInterrupted, socketpair} from './libc.js'

const AF_UNIX = 1
const SOCK_STREAM = 1
const SOCK_SEQPACKET = 5
const SOCK_CLOEXEC = 0o2000000
const SOL_SOCKET = 1
const SCM_RIGHTS = 1
const MSG_CMSG_CLOEXEC = 0x40000000
/** struct cmsghdr: length, level, type. */
const HEADER_BYTES = 16
/** SCM_MAX_FD of net/unix would be 253; nothing here needs more. */
const DESCRIPTORS_MAX = 16

const callSendmsg = declareLong('sendmsg', ['fd', 'buffer', 'int'])
const callRecvmsg = declareLong('recvmsg', ['fd', 'buffer', 'int'])

/** Two ends of a connection that keeps the bounds of messages; both close-on-exec. */
export function socketPair(): readonly [number, number] {
  return pairOf(SOCK_SEQPACKET)
}

/** The same as a stream of bytes, which node:net takes. */
export function streamPair(): readonly [number, number] {
  return pairOf(SOCK_STREAM)
}

function pairOf(type: number): readonly [number, number] {
  const pair = new Int32Array(2)
  socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair)
  return [pair[0]!, pair[1]!]
}

export function sendDescriptors(socket: number, bytes: Buffer, descriptors: readonly number[]): void {
  if (descriptors.length > DESCRIPTORS_MAX) throw new RangeError('too many descriptors for one message')
  const control = Buffer.alloc(HEADER_BYTES + Math.ceil(descriptors.length / 2) * 8)
  control.writeBigUInt64LE(BigInt(HEADER_BYTES + descriptors.length * 4), 0)
  control.writeInt32LE(SOL_SOCKET, 8)
  control.writeInt32LE(SCM_RIGHTS, 12)
  descriptors.forEach((fd, index) => control.writeInt32LE(fd, HEADER_BYTES + index * 4))
  const vector = vectorOf(bytes)
  const header = messageHeader(vector, descriptors.length === 0 ? Buffer.alloc(0) : control)
  retryInterrupted(() => callSendmsg(socket, header, MSG_NOSIGNAL))
  // Kept alive to here: the kernel reads them through addresses.
  control.fill(0)
  vector.fill(0n)
}

export interface ReceivedMessage {
  readonly bytes: Buffer
  /** Ours now, close-on-exec. */
  readonly descriptors: readonly number[]
}

/** One message of at most `limit` bytes; empty at the end of the connection. */
export function receiveDescriptors(socket: number, limit: number): ReceivedMessage {
  const bytes = Buffer.alloc(limit)
  const control = Buffer.alloc(HEADER_BYTES + DESCRIPTORS_MAX * 4)
  const vector = vectorOf(bytes)
  const header = messageHeader(vector, control)
  const length = retryInterrupted(() => callRecvmsg(socket, header, MSG_CMSG_CLOEXEC))
  vector.fill(0n)
  const filled = Number(header.readBigUInt64LE(40))
  if (filled < HEADER_BYTES) return {bytes: bytes.subarray(0, length), descriptors: []}
  if (control.readInt32LE(8) !== SOL_SOCKET || control.readInt32LE(12) !== SCM_RIGHTS)
    throw new SystemError('recvmsg', ERRNO.EPROTO)
  const count = Math.floor((Number(control.readBigUInt64LE(0)) - HEADER_BYTES) / 4)
  const descriptors = Array.from({length: count}, (_, index) => control.readInt32LE(HEADER_BYTES + index * 4))
  return {bytes: bytes.subarray(0, length), descriptors}
}

/** struct iovec. */
function vectorOf(bytes: Buffer): BigUint64Array {
  return new BigUint64Array([bytes.length === 0 ? 0n : addressOf(bytes), BigInt(bytes.length)])
}

/** struct msghdr: name, its length, vectors, their number, control, its length, flags. */
function messageHeader(vector: BigUint64Array, control: Buffer): Buffer {
  const header = Buffer.alloc(56)
  header.writeBigUInt64LE(addressOf(vector), 16)
  header.writeBigUInt64LE(1n, 24)
  header.writeBigUInt64LE(control.length === 0 ? 0n : addressOf(control), 32)
  header.writeBigUInt64LE(BigInt(control.length), 40)
  return header
}
