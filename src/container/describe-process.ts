// What the kernel shows of a process that stands for its container: of ours, of one that runs already, or of another maker's.

import {readFileSync, statSync} from 'node:fs'

import type {ContainerDescription} from '../intercept/container.js'
import {describeCgroup} from './cgroup/of.js'
import {parseProcIdMap} from './userns/idmap.js'

/** Ticks of proc_pid_stat(5) are hundredths of a second: USER_HZ is part of the kernel's interface. */
const CLOCK_TICK_MS = 10

/** What the kernel does not show. */
export interface KnownOfContainer {
  readonly name: string
  /** The supervisor is itself in a user namespace that an ordinary user made. */
  readonly rootless: boolean
  /** Left out: the cgroups that the process is in. */
  readonly cgroup?: ContainerDescription['cgroup']
  readonly superBlocks?: ContainerDescription['superBlocks']
  readonly spawner?: number
}

/**
 * The description by which calls of a container are decided and performed.
 *
 * @param pid of the container's init, as our pid namespace counts; the caller sees to it that it is that process still
 * @throws the error of node:fs where the process has ended
 */
export function describeProcess(pid: number, known: KnownOfContainer): ContainerDescription {
  const {name, rootless, cgroup = describeCgroup(pid), superBlocks, spawner} = known
  return {
    name,
    initPid: pid,
    namespaces: namespacesOf(pid),
    ...idMapsOf(pid),
    cgroup,
    rootless,
    startedMs: startOf(pid),
    ...(superBlocks && {superBlocks}),
    ...(spawner !== undefined && {spawner}),
  }
}

/** As our own user namespace counts on the outside (user_namespaces(7)). */
export function idMapsOf(pid: number): Pick<ContainerDescription, 'gidMap' | 'uidMap'> {
  const read = (file: string) => parseProcIdMap(readFileSync(`/proc/${pid}/${file}`, 'latin1'))
  return {uidMap: read('uid_map'), gidMap: read('gid_map')}
}

function namespacesOf(pid: number): ContainerDescription['namespaces'] {
  const inode = (name: string): number => statSync(`/proc/${pid}/ns/${name}`).ino
  return {user: inode('user'), mnt: inode('mnt'), pid: inode('pid')}
}

/** Field 22 of proc_pid_stat(5); the command name before it may hold anything. */
function startOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return Number(fields[19]) * CLOCK_TICK_MS
}
