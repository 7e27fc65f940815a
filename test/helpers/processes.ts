// What /proc says of processes: whether any of a container is left.

import {readFileSync, readdirSync, readlinkSync} from 'node:fs'
import {setTimeout as sleep} from 'node:timers/promises'

/** Host pids of all processes in the pid namespace `inode`. */
export function membersOf(inode: number): readonly number[] {
  return pids().filter((pid) => {
    try {
      return readlinkSync(`/proc/${pid}/ns/pid`) === `pid:[${inode}]`
    } catch {
      return false
    }
  })
}

/** Inode of the pid namespace of a process, as membersOf() takes it. */
export function pidNamespace(pid: number): number {
  return Number(/\d+/u.exec(readlinkSync(`/proc/${pid}/ns/pid`))?.[0])
}

export function descendantsOf(pid: number): readonly number[] {
  const parents = new Map(pids().map((own) => [own, parentOf(own)]))
  const isBelow = (own: number): boolean => {
    const parent = parents.get(own)
    return parent !== undefined && (parent === pid || isBelow(parent))
  }
  return [...parents.keys()].filter(isBelow)
}

export function isAlive(pid: number): boolean {
  try {
    return !/^State:\t[ZX]/mu.test(readFileSync(`/proc/${pid}/status`, 'latin1'))
  } catch {
    return false
  }
}

/** Polls, because what ends asynchronously can only be looked at. */
export async function until(condition: () => boolean, what: string, limitMs = 10_000): Promise<void> {
  for (let waited = 0; !condition(); waited += 10) {
    if (waited >= limitMs) throw new Error(`gave up waiting until ${what}`)
    await sleep(10)
  }
}

function pids(): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/u.test(name))
    .map(Number)
}

function parentOf(pid: number): number | undefined {
  try {
    return Number(/^PPid:\t(\d+)$/mu.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1])
  } catch {
    return undefined
  }
}
