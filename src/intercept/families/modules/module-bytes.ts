// Where the bytes of a module come from: a file or memory of the container, plain or compressed.

import {spawnSync} from 'node:child_process'
import {gunzipSync} from 'node:zlib'

import {ERRNO, SystemError} from '../../../ffi/errors.js'
import {pread} from '../../../ffi/libc.js'
import type {ModuleBytes} from './module-name.js'
import type {CallerMemory} from '../../family.js'

/** Compressed, and unpacked: the largest that distributions ship are a quarter of it. */
const PACKED_BYTES_MAX = 32 * 1024 * 1024
const UNPACKED_BYTES_MAX = 128 * 1024 * 1024
const UNPACK_MS = 20_000
const NOBODY = 65_534
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

export type Unpacked = {readonly bytes: ModuleBytes} | {readonly errno: number; readonly reason: string}

/** Everything in memory, within limits. `asNobody`: the unpacking program runs without our rights. */
export function unpack(file: ModuleBytes, compression: Compression, asNobody: boolean): Unpacked {
  if (file.size > PACKED_BYTES_MAX) return {errno: ERRNO.EFBIG, reason: 'the compressed module is too large'}
  const packed = file.read(0, file.size)
  if (compression !== 'gzip') return unpackWith(PROGRAMS[compression], packed, asNobody)
  try {
    return {bytes: bytesOfBuffer(gunzipSync(packed, {maxOutputLength: UNPACKED_BYTES_MAX}))}
  } catch {
    return DAMAGED
  }
}

const DAMAGED = {errno: ERRNO.EINVAL, reason: 'the compressed module can not be unpacked'} as const

const PROGRAMS = {
  xz: ['xz', '--decompress', '--stdout', '--single-stream', '--memlimit-decompress=256MiB'],
  zstd: ['zstd', '--decompress', '--stdout', '--quiet', '--memory=256MB'],
} as const

function unpackWith([program, ...words]: readonly [string, ...string[]], packed: Buffer, asNobody: boolean): Unpacked {
  const {error, status, stdout} = spawnSync(program, words, {
    input: packed,
    cwd: '/',
    env: {PATH: SEARCH_PATH},
    maxBuffer: UNPACKED_BYTES_MAX,
    timeout: UNPACK_MS,
    killSignal: 'SIGKILL',
    stdio: ['pipe', 'pipe', 'ignore'],
    ...(asNobody ? {uid: NOBODY, gid: NOBODY} : {}),
  })
  if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') {
    return {errno: ERRNO.EOPNOTSUPP, reason: `${program} is not installed on the host`}
  }
  return error !== undefined || status !== 0 ? DAMAGED : {bytes: bytesOfBuffer(stdout)}
}

export function bytesOfBuffer(buffer: Buffer): ModuleBytes {
  return {size: buffer.length, read: (offset, length) => buffer.subarray(offset, offset + length)}
}
