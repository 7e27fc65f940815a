// Memory, swap and processes of a container as its cgroups limit and count them. Files stay open between calls.

import {closeSync, openSync, readSync} from 'node:fs'

import {ancestry} from '../../container.js'
import type {CgroupDescription} from '../../container.js'

export interface MemoryFigures {
  /** The least limit of the cgroup and those above; at most the host's memory. */
  readonly total: number
  readonly free: number
  readonly shared: number
}

export interface SwapFigures {
  readonly total: number
  readonly free: number
}

/** File names of both versions; see the kernel's admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst. */
const NAMES = {
  1: {
    limit: 'memory.limit_in_bytes',
    high: undefined,
    usage: 'memory.usage_in_bytes',
    swapLimit: 'memory.memsw.limit_in_bytes',
    swapUsage: 'memory.memsw.usage_in_bytes',
    // The plain ones leave out what is below this cgroup.
    cache: Buffer.from('\ntotal_cache '),
    shared: Buffer.from('\ntotal_shmem '),
  },
  2: {
    limit: 'memory.max',
    high: 'memory.high',
    usage: 'memory.current',
    swapLimit: 'memory.swap.max',
    swapUsage: 'memory.swap.current',
    cache: Buffer.from('\nfile '),
    shared: Buffer.from('\nshmem '),
  },
} as const

/** Limits change seldom; they are read again when they are older than this. */
const LIMITS_AGE_MS = 1000
const STAT_BYTES_MAX = 16_384

/** One cgroup from the container's own up to the top of what is mounted. */
interface Level {
  readonly directory: string
  /** As the files say; Infinity where there is no limit. */
  limit: number
  swapLimit: number
}

export class CgroupReader {
  readonly #version: 1 | 2
  readonly #levels: readonly Level[]
  readonly #pids: string | undefined
  readonly #now: () => number
  /** By path; null where a file is not there. */
  readonly #files = new Map<string, number | null>()
  readonly #buffer = Buffer.alloc(STAT_BYTES_MAX)
  #limitsReadMs = -Infinity

  constructor(cgroup: CgroupDescription | undefined, now: () => number = () => performance.now()) {
    this.#version = cgroup?.version ?? 2
    const memory = cgroup?.memory
    this.#levels =
      memory === undefined
        ? []
        : ancestry(memory).map((directory) => ({directory, limit: Infinity, swapLimit: Infinity}))
    this.#pids = cgroup?.pids === undefined ? undefined : `${cgroup.pids.own}/pids.current`
    this.#now = now
    this.#readLimits()
  }

  /**
   * Undefined where nothing limits the container below the host's memory. Page cache counts as free, since it gives way
   * to whoever needs memory; shmem, which the kernel counts with it, does not. Of several limits on the way up, each
   * with what is used below it, the one that leaves least counts.
   */
  memory(hostTotal: number): MemoryFigures | undefined {
    this.#readLimits()
    let total = Infinity
    let free = Infinity
    let shared: number | undefined
    for (const level of this.#levels) {
      if (level.limit >= hostTotal) continue
      const {used, shared: sharedBelow} = this.#readUsage(level)
      total = Math.min(total, level.limit)
      free = Math.min(free, level.limit - used)
      // The lowest level that counts is nearest to the container's own.
      shared ??= sharedBelow
    }
    if (total === Infinity) return undefined
    return {total, free: clamp(free, total), shared: clamp(shared ?? 0, total)}
  }

  /** What the host has, within the limits. A host without swap accounting limits nothing. */
  swap(hostTotal: number, hostFree: number): SwapFigures {
    let total = hostTotal
    let free = hostFree
    if (hostTotal > 0) {
      this.#readLimits()
      for (const level of this.#levels) {
        if (level.swapLimit >= hostTotal) continue
        total = Math.min(total, level.swapLimit)
        if (level.swapLimit > 0) free = Math.min(free, level.swapLimit - this.#readSwapUsage(level))
      }
    }
    return {total, free: clamp(free, total)}
  }

  /** Undefined where no pids controller counts the container. */
  processes(): number | undefined {
    return this.#pids === undefined ? undefined : this.#readNumber(this.#pids)
  }

  close(): void {
    for (const fd of this.#files.values()) if (fd !== null) closeSync(fd)
    this.#files.clear()
  }

  #readLimits(): void {
    const now = this.#now()
    if (now - this.#limitsReadMs < LIMITS_AGE_MS) return
    this.#limitsReadMs = now
    const names = NAMES[this.#version]
    for (const level of this.#levels) {
      const {directory} = level
      const limit = this.#readNumber(`${directory}/${names.limit}`) ?? Infinity
      // Above memory.high everything is throttled hard, so that it is the limit in all but name.
      const high = names.high === undefined ? undefined : this.#readNumber(`${directory}/${names.high}`)
      const swap = this.#readNumber(`${directory}/${names.swapLimit}`) ?? Infinity
      level.limit = Math.min(limit, high ?? Infinity)
      // v1 limits memory and swap together.
      level.swapLimit = this.#version === 2 || isUnlimited(limit) ? swap : Math.max(0, swap - limit)
      if (isUnlimited(swap)) level.swapLimit = Infinity
    }
  }

  #readUsage({directory}: Level): {readonly used: number; readonly shared: number} {
    const names = NAMES[this.#version]
    const usage = this.#readNumber(`${directory}/${names.usage}`) ?? 0
    const length = this.#read(`${directory}/memory.stat`)
    const cache = this.#findNumber(names.cache, length)
    const shared = this.#findNumber(names.shared, length)
    return {used: usage - Math.max(0, cache - shared), shared}
  }

  #readSwapUsage({directory}: Level): number {
    const names = NAMES[this.#version]
    const usage = this.#readNumber(`${directory}/${names.swapUsage}`) ?? 0
    if (this.#version === 2) return usage
    return Math.max(0, usage - (this.#readNumber(`${directory}/${names.usage}`) ?? 0))
  }

  /** Infinity for `max`; undefined where the file is not there. */
  #readNumber(path: string): number | undefined {
    const length = this.#read(path)
    if (length === 0) return undefined
    return this.#buffer[0] === 0x6d ? Infinity : this.#parseDigits(0, length)
  }

  /** The number behind `key`, which begins with the newline before it; 0 where it is not there. */
  #findNumber(key: Buffer, length: number): number {
    const first = key.subarray(1)
    if (this.#buffer.compare(first, 0, first.length, 0, Math.min(first.length, length)) === 0) {
      return this.#parseDigits(first.length, length)
    }
    const at = this.#buffer.indexOf(key)
    return at === -1 || at >= length ? 0 : this.#parseDigits(at + key.length, length)
  }

  #parseDigits(start: number, length: number): number {
    let value = 0
    for (let at = start; at < length; at++) {
      const digit = this.#buffer[at]! - 0x30
      if (digit < 0 || digit > 9) break
      value = value * 10 + digit
    }
    return value
  }

  /** The file's beginning into the buffer; 0 where it is not there, or the cgroup is gone. */
  #read(path: string): number {
    let fd = this.#files.get(path)
    if (fd === undefined) {
      fd = tryOpen(path)
      this.#files.set(path, fd)
    }
    if (fd === null) return 0
    try {
      return readSync(fd, this.#buffer, 0, STAT_BYTES_MAX, 0)
    } catch {
      return 0
    }
  }
}

/** v1 writes the largest number of whole pages that fits 63 bits. */
function isUnlimited(limit: number): boolean {
  return limit >= 2 ** 62
}

function clamp(value: number, most: number): number {
  return Math.min(most, Math.max(0, value))
}

function tryOpen(path: string): number | null {
  try {
    return openSync(path, 'r')
  } catch {
    return null
  }
}
