// Has the kernel's wait for a move between cgroups pass while there is other work.
//
// Whoever moves a process waits until every processor has left the fast path of fork: cgroup_threadgroup_rwsem is a
// percpu_rw_semaphore, so that is a grace period of RCU, 5 to 20 ms, and cgroup_mutex is held meanwhile
// (cgroup_procs_write_start() in kernel/cgroup/cgroup.c). For about 10 ms afterwards another move does not wait
// (rcu_sync_enter() in kernel/rcu/sync.c). We move ourselves to where we are, which changes nothing.

import {closeSync, constants, openSync, write, writeSync} from 'node:fs'

import type {Hierarchies} from './tree.js'
import {findHierarchies, thisHost} from './tree.js'

/** Begins the wait, in a thread of Node's: before anything else, for the most to do meanwhile. */
export function prepareMoves(): void {
  const procs = openOwn(findHierarchies(thisHost()))
  if (procs !== undefined) write(procs, String(process.pid), () => closeSync(procs))
}

/** The next move does not wait either: one now that is quick, or that waits in its place. */
export function renewMoves(hierarchies: Hierarchies): void {
  const procs = openOwn(hierarchies)
  if (procs === undefined) return
  try {
    writeSync(procs, String(process.pid))
  } catch {
    // As in a threaded cgroup (EOPNOTSUPP): the container's move tells what is wrong, if anything is.
  } finally {
    closeSync(procs)
  }
}

/** Undefined where we may not move anything. Any hierarchy serves: the lock is one for all. */
function openOwn({v1, unified}: Hierarchies): number | undefined {
  const place = v1.get('devices') ?? unified
  if (place === undefined) return undefined
  try {
    return openSync(`${place.own}/cgroup.procs`, constants.O_WRONLY)
  } catch {
    return undefined
  }
}
