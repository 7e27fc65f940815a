// A cgroup of our own in every hierarchy, so that what a daemon makes below it can be found and removed.

import {existsSync, mkdirSync, readFileSync, readdirSync, rmdirSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'

import {findHierarchies, subdirectories, thisHost} from '../../src/container/cgroup/tree.js'
import {BenchError} from '../errors.js'
import type {Context} from '../figure.js'

const PREFIX = 'interceptor-bench-'
const ATTEMPTS = 50
const PAUSE_MS = 100

/**
 * Below the cgroup that we are in. `joined` is where the daemon belongs: in a leaf named as systemd's, which liblxc takes
 * away from the path of process 1 before it makes its own beside it; in a unified hierarchy a cgroup that has processes
 * could not pass controllers on (cgroups(7), "no internal processes").
 */
export function makeCgroups(context: Context): readonly string[] {
  const {v1, unified} = findHierarchies(thisHost())
  const parents = new Set([...v1.values(), ...(unified === undefined ? [] : [unified])].map(({own}) => own))
  for (const parent of parents) removeStale(parent)
  const joined: string[] = []
  for (const parent of parents) {
    const own = join(parent, `${PREFIX}${process.pid}`)
    context.defer(() => remove(own))
    make(own)
    make(join(own, 'init.scope'))
    joined.push(join(own, 'init.scope', 'cgroup.procs'))
  }
  return joined
}

/** cpuset.cpus and cpuset.mems of version 1 begin empty, and then nothing can join. */
function make(directory: string): void {
  mkdirSync(directory)
  for (const name of ['cpuset.cpus', 'cpuset.mems']) {
    const file = join(directory, name)
    if (existsSync(file) && existsSync(join(directory, 'tasks'))) {
      writeFileSync(file, readFileSync(join(directory, '..', name)))
    }
  }
}

/** Processes that were killed leave theirs a moment later. */
async function remove(directory: string): Promise<void> {
  for (let attempt = 1; existsSync(directory); attempt++) {
    try {
      removeTree(directory)
    } catch (error) {
      if (attempt === ATTEMPTS) throw new BenchError(`cannot remove ${directory}`, {cause: error})
      await sleep(PAUSE_MS)
    }
  }
}

/** The files of a cgroup go with it. */
function removeTree(directory: string): void {
  for (const each of [...subdirectories(directory), directory]) rmdirSync(each)
}

/** Of benchmarks that were killed. */
function removeStale(parent: string): void {
  for (const name of readdirSync(parent)) {
    const pid = name.startsWith(PREFIX) ? name.slice(PREFIX.length) : ''
    if (pid === '' || existsSync(`/proc/${pid}`)) continue
    try {
      removeTree(join(parent, name))
    } catch {
      // Something still runs in it; it is not ours to end.
    }
  }
}
