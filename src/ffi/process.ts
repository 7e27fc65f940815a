// Descriptors that launching needs: memory files and a descriptor taken from another process.

import {declare, declareLong} from './declare.js'
import {close, pidfd_getfd, pidfd_open, retryInterrupted} from './libc.js'

const MFD_CLOEXEC = 1

const callMemfdCreate = declare('memfd_create', ['path', 'uint'])

/** An empty file in memory, close-on-exec. */
export function memfd_create(name: string): number {
  return callMemfdCreate(name, MFD_CLOEXEC)
}

const callGetrandom = declareLong('getrandom', ['buffer', 'size', 'uint'])

/** Random bytes for a name, in hexadecimal; node:crypto would take milliseconds to load. */
export function randomHex(bytes: number): string {
  const random = Buffer.alloc(bytes)
  // Never short below 256 bytes (getrandom(2)).
  callGetrandom(random, bytes, 0)
  return random.toString('hex')
}

/** A close-on-exec duplicate of a descriptor of `pid`. Needs the right to trace it (pidfd_getfd(2)). */
export function takeDescriptor(pid: number, fd: number): number {
  const pidfd = pidfd_open(pid, 0)
  try {
    return retryInterrupted(() => pidfd_getfd(pidfd, fd))
  } finally {
    close(pidfd)
  }
}

const RLIMIT_NOFILE = 7
const callPrlimit = declare('prlimit', ['int', 'int', 'buffer', 'buffer'])

/** Sets how many descriptors `pid` may open (prlimit(2)). */
export function setOpenFiles(pid: number, soft: bigint, hard: bigint): void {
  callPrlimit(pid, RLIMIT_NOFILE, Buffer.from(new BigUint64Array([soft, hard]).buffer), null)
}
