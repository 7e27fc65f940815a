// Where the bytes of a module come from: a file or memory of the container, plain or compressed.

import {spawnSync} from 'node:child_process'
import {closeSync, existsSync, openSync, writeSync} from 'node:fs'

import {SystemError} from '../../../ffi/errors.js'
import {pread} from '../../../ffi/libc.js'
import {memfd_create} from '../../../ffi/process.js'
import {OVERFLOW_ID} from '../../../kernel/constants.js'
import {ERRNO} from '../../../kernel/errno.js'
import type {CallerMemory} from '../../family.js'
import type {Hint} from '../../hint.js'
import type {ModuleBytes} from './module-name.js'

/** Compressed, and unpacked: the largest that distributions ship are a quarter of it. */
const PACKED_BYTES_MAX = 32 * 1024 * 1024
const UNPACKED_BYTES_MAX = 128 * 1024 * 1024
const COPIED_BYTES = 1024 * 1024
const UNPACK_MS = 20_000
const SEARCH_PATH = '/usr/sbin:/usr/bin:/sbin:/bin'

/** An open file. Each read is of the file as it is then: only the name is used, and that is checked. */
export function bytesOfFile(fd: number, size: number): ModuleBytes {
  return {
    size,
    read(offset, length) {
      const bytes = Buffer.alloc(length)
      for (let done = 0; done < length;) {
        const count = pread(fd, bytes.subarray(done), length - done, offset + done)
        // Cut off meanwhile.
        if (count === 0) throw new SystemError('pread64', ERRNO.ENOEXEC)
        done += count
      }
      return bytes
    },
  }
}

export function bytesOfMemory(memory: CallerMemory, address: number, size: number): ModuleBytes {
  return {size, read: (offset, length) => memory.bytes(address + offset, length)}
}

export type Compression = 'gzip' | 'xz' | 'zstd'

/** By the first bytes; undefined for what the kernel would not unpack either. */
export function compressionOf(file: ModuleBytes): Compression | undefined {
  const start = file.read(0, Math.min(6, file.size)).toString('hex')
  if (start.startsWith('1f8b')) return 'gzip'
  if (start === 'fd377a585a00') return 'xz'
  return start.startsWith('28b52ffd') ? 'zstd' : undefined
}

/** What the unpacking programs are, and what they may take; Debian's modules need 1 MiB (xz) and 8 MiB (zstd). */
const PROGRAMS = {
  gzip: ['gzip', '--decompress', '--stdout'],
  xz: ['xz', '--decompress', '--stdout', '--single-stream', '--memlimit-decompress=80MiB'],
  zstd: ['zstd', '--decompress', '--stdout', '--quiet', '--memory=80MB'],
} as const

/** Debian's packages of these programs. */
const PACKAGES = {gzip: 'gzip', xz: 'xz-utils', zstd: 'zstd'} as const

/** A part of what a program writes: the rest passes by, and none of it is kept. */
const PART = 'from=$1 length=$2; shift 2; "$@" | tail -c +"$from" | head -c "$length"'

/** A compressed module can't be read; `reason` says why. */
export class UnpackError extends SystemError {
  readonly reason: string
  readonly hint: Hint | undefined

  constructor(errno: number, reason: string, hint?: Hint) {
    super('unpack', errno)
    this.reason = reason
    this.hint = hint
  }
}

/**
 * Runs `action` on the unpacked bytes, of which no more is ever in memory than the part that is read: a few kilobytes can
 * unpack to gigabytes. Throws UnpackError.
 *
 * @param asNobody the unpacking program runs without our rights
 */
export function withUnpacked<T>(
  file: ModuleBytes,
  compression: Compression,
  asNobody: boolean,
  action: (unpacked: ModuleBytes) => T,
): T {
  if (file.size > PACKED_BYTES_MAX) throw new UnpackError(ERRNO.EFBIG, 'the compressed module is too large')
  const [program] = PROGRAMS[compression]
  if (!SEARCH_PATH.split(':').some((directory) => existsSync(`${directory}/${program}`))) {
    const hint = {advice: `install it on the host: apt-get install ${PACKAGES[compression]}`}
    throw new UnpackError(ERRNO.EOPNOTSUPP, `${program} is not installed on the host`, hint)
  }
  const packed = memfd_create('interceptor-module')
  try {
    for (let at = 0; at < file.size; at += COPIED_BYTES) {
      writeSync(packed, file.read(at, Math.min(COPIED_BYTES, file.size - at)))
    }
    const deadline = performance.now() + UNPACK_MS
    return action({
      size: UNPACKED_BYTES_MAX,
      read: (offset, length) => readPart({packed, compression, asNobody, deadline}, offset, length),
    })
  } finally {
    closeSync(packed)
  }
}

interface Source {
  readonly packed: number
  readonly compression: Compression
  readonly asNobody: boolean
  readonly deadline: number
}

function readPart({packed, compression, asNobody, deadline}: Source, offset: number, length: number): Buffer {
  const words = [String(offset + 1), String(length), ...PROGRAMS[compression]]
  // An open file of its own, which begins at the start.
  const input = openSync(`/proc/self/fd/${packed}`, 'r')
  const {status, stdout} = spawnSync('/bin/sh', ['-c', PART, 'sh', ...words], {
    cwd: '/',
    env: {PATH: SEARCH_PATH},
    maxBuffer: length + 1,
    timeout: Math.max(1, Math.ceil(deadline - performance.now())),
    killSignal: 'SIGKILL',
    stdio: [input, 'pipe', 'ignore'],
    ...(asNobody ? {uid: OVERFLOW_ID, gid: OVERFLOW_ID} : {}),
  })
  closeSync(input)
  if (status !== 0 || stdout.length !== length) {
    throw new UnpackError(ERRNO.EINVAL, 'the compressed module cannot be unpacked')
  }
  return stdout
}

export function bytesOfBuffer(buffer: Buffer): ModuleBytes {
  return {size: buffer.length, read: (offset, length) => buffer.subarray(offset, offset + length)}
}
