// Load averages of a container, which the kernel keeps for the whole host only: sampled as it samples its own.

import {closeSync, openSync, readFileSync, readSync, readdirSync} from 'node:fs'

import {bootTimeMs} from '../../../ffi/sysinfo.js'
import type {ContainerDescription} from '../../container.js'

/** LOAD_FREQ in include/linux/sched/loadavg.h. */
const SAMPLE_MS = 5000
const PERIODS_MS = [60_000, 300_000, 900_000] as const
/** Of more tasks than this every n-th is looked at, so that a container can't keep the supervisor busy. */
const TASKS_LOOKED_AT = 512
const TASKS_LISTED_MAX = 65_536

/** Float64Array in memory that threads share: three averages, number of tasks, boot time of the last sample in ms. */
const SLOTS = {tasks: 3, sampledMs: 4, length: 5} as const

/** The averages of one container. */
export class LoadAverage {
  readonly #container: ContainerDescription
  readonly #slots: Float64Array
  readonly #isSampledElsewhere: boolean
  readonly #now: () => number

  /** `memory`: where the main thread samples already. */
  constructor(container: ContainerDescription, memory?: SharedArrayBuffer, now: () => number = bootTimeMs) {
    this.#container = container
    this.#now = now
    this.#isSampledElsewhere = memory !== undefined
    this.#slots = new Float64Array(memory ?? newLoadMemory())
    if (!this.#isSampledElsewhere) this.#slots[SLOTS.sampledMs] = now()
  }

  /**
   * The averages now. Where nobody samples in the background it is done here, at most every 5 s; what was not watched
   * is then taken to have been as it is now. `reader` is left out: who waits for this answer is not busy.
   */
  read(reader?: number): readonly [number, number, number] {
    if (!this.#isSampledElsewhere && this.#now() - this.#slots[SLOTS.sampledMs]! >= SAMPLE_MS) this.sample(reader)
    return [this.#slots[0]!, this.#slots[1]!, this.#slots[2]!]
  }

  /** Tasks of the container when it was last looked at. */
  tasks(): number {
    if (this.#slots[SLOTS.tasks] === 0) this.#slots[SLOTS.tasks] = Math.max(1, listTasks(this.#container).length)
    return this.#slots[SLOTS.tasks]!
  }

  /** Looks at the tasks, and lets what was fade by the time since then, as calc_load() does. */
  sample(reader?: number): void {
    const tasks = listTasks(this.#container)
    const now = this.#now()
    const elapsed = Math.max(0, now - this.#slots[SLOTS.sampledMs]!)
    fade(this.#slots, countActive(tasks, reader), elapsed)
    this.#slots[SLOTS.tasks] = tasks.length
    this.#slots[SLOTS.sampledMs] = now
  }
}

/** load = load * e^(-t/T) + active * (1 - e^(-t/T)) for each of the three periods. */
export function fade(loads: Float64Array, active: number, elapsedMs: number): void {
  for (const [index, period] of PERIODS_MS.entries()) {
    const kept = Math.exp(-elapsedMs / period)
    loads[index] = loads[index]! * kept + active * (1 - kept)
  }
}

export function newLoadMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(SLOTS.length * Float64Array.BYTES_PER_ELEMENT)
}

/**
 * Samples every 5 s on this thread, which must not block: the main one, not that of the notifications. `memory` is for
 * the workers. Ends with `stop`; it does not keep the process alive.
 */
export function startLoadSampling(container: ContainerDescription): {
  readonly memory: SharedArrayBuffer
  readonly stop: () => void
} {
  const memory = newLoadMemory()
  new Float64Array(memory)[SLOTS.sampledMs] = bootTimeMs()
  const average = new LoadAverage(container, memory)
  const timer = setInterval(() => average.sample(), SAMPLE_MS)
  timer.unref()
  return {memory, stop: () => clearInterval(timer)}
}

/** Runnable or in uninterruptible sleep, as nr_running and nr_uninterruptible. */
function countActive(tasks: readonly number[], reader: number | undefined): number {
  const step = Math.max(1, Math.ceil(tasks.length / TASKS_LOOKED_AT))
  let active = 0
  const buffer = Buffer.alloc(128)
  for (let index = 0; index < tasks.length; index += step) {
    const tid = tasks[index]!
    if (tid !== reader && isActive(tid, buffer)) active++
  }
  return active * step
}

function isActive(tid: number, buffer: Buffer): boolean {
  const length = readStart(`/proc/${tid}/stat`, buffer)
  // The name may hold brackets itself, at most 64 bytes of it; no later field has one.
  const state = buffer[buffer.lastIndexOf(0x29, length - 1) + 2]
  return length > 0 && (state === 0x52 || state === 0x44)
}

function readStart(path: string, buffer: Buffer): number {
  let fd
  try {
    fd = openSync(path, 'r')
    return readSync(fd, buffer, 0, buffer.length, 0)
  } catch {
    return 0
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}

/** Thread ids of the container, from its cgroup where it has one of its own, else from its init downward. */
function listTasks({cgroup, initPid}: ContainerDescription): readonly number[] {
  const own = cgroup?.pids?.own ?? cgroup?.unified?.own
  const tasks: number[] = []
  if (own === undefined) listDescendants(initPid, tasks)
  else listMembers(own, tasks)
  return tasks
}

/** v1 names the file `tasks`, v2 `cgroup.threads`. The container may have made cgroups below its own. */
function listMembers(directory: string, tasks: number[]): void {
  if (tasks.length >= TASKS_LISTED_MAX) return
  tasks.push(...numbers(`${directory}/cgroup.threads`, `${directory}/tasks`))
  try {
    for (const entry of readdirSync(directory, {withFileTypes: true})) {
      if (entry.isDirectory()) listMembers(`${directory}/${entry.name}`, tasks)
    }
  } catch {
    // The cgroup is gone.
  }
}

/** proc_tid_children(5). Orphans are the init's children, so that nobody is missed. */
function listDescendants(initPid: number, tasks: number[]): void {
  const processes = [initPid]
  for (let pid = processes.pop(); pid !== undefined && tasks.length < TASKS_LISTED_MAX; pid = processes.pop()) {
    let threads: readonly string[]
    try {
      threads = readdirSync(`/proc/${pid}/task`)
    } catch {
      continue
    }
    for (const tid of threads) {
      tasks.push(Number(tid))
      processes.push(...numbers(`/proc/${pid}/task/${tid}/children`))
    }
  }
}

/** Numbers in the first of the files that is there. */
function numbers(...paths: readonly string[]): readonly number[] {
  for (const path of paths) {
    try {
      return readFileSync(path, 'latin1')
        .split(/\s+/)
        .filter((word) => word !== '')
        .map(Number)
    } catch {
      // The next one, or none.
    }
  }
  return []
}
