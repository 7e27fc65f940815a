// What this process may do, as /proc tells: with which privileges of which user namespace it was started.

import {readFileSync} from 'node:fs'

import type {IdMapExtent} from '../../intercept/container.js'
import {CAP, holdsAll} from '../../kernel/capabilities.js'
import type {Capability} from '../../kernel/capabilities.js'
import {isInitialUserNamespace, parseProcIdMap} from './idmap.js'

export interface Privileges {
  readonly uid: number
  readonly gid: number
  readonly capabilities: bigint
  /** Of our own user namespace, as its parent numbers ids. */
  readonly uidMap: readonly IdMapExtent[]
  readonly gidMap: readonly IdMapExtent[]
  /** A seccomp filter is installed already: that of a container around us. */
  readonly isFiltered: boolean
  readonly noNewPrivileges: boolean
}

export function ownPrivileges(): Privileges {
  const status = readFileSync('/proc/self/status', 'latin1')
  const field = (name: string): string => new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(status)?.[1] ?? '0'
  return {
    uid: process.geteuid?.() ?? 0,
    gid: process.getegid?.() ?? 0,
    capabilities: BigInt(`0x${field('CapEff')}`),
    uidMap: parseProcIdMap(readFileSync('/proc/self/uid_map', 'latin1')),
    gidMap: parseProcIdMap(readFileSync('/proc/self/gid_map', 'latin1')),
    isFiltered: field('Seccomp') === '2',
    noNewPrivileges: field('NoNewPrivs') === '1',
  }
}

export function holds({capabilities}: Pick<Privileges, 'capabilities'>, ...wanted: readonly Capability[]): boolean {
  return holdsAll(capabilities, ...wanted.map((name) => CAP[name]))
}

/**
 * Root of the host: mounts, device nodes and id-mapped mounts are possible. Root of a container, or with capabilities
 * dropped, is not, and goes the way of an ordinary user.
 */
export function isPrivileged(privileges: Privileges): boolean {
  return (
    privileges.uid === 0 &&
    isInitialUserNamespace(privileges.uidMap) &&
    holds(privileges, 'SYS_ADMIN', 'MKNOD', 'SETUID', 'SETGID', 'DAC_OVERRIDE', 'SYS_PTRACE')
  )
}

/** May write any map of its own ids into a child namespace (new_idmap_permitted() in kernel/user_namespace.c). */
export function mayMapIds(privileges: Privileges): boolean {
  return privileges.uid === 0 && privileges.gid === 0 && holds(privileges, 'SETUID', 'SETGID', 'SETFCAP')
}
