// Resource limits that Node changed in its own process, given back to the command.

import {readFileSync} from 'node:fs'

import {setOpenFiles} from '../../ffi/process.js'

/**
 * Node raises the soft limit of open files to the hard one when it starts (PlatformInit in src/node.cc). What it was is
 * still our parent's, unless the parent set it for us alone; programs that close every descriptor up to the limit are
 * slow under a high one.
 */
export function restoreOpenFiles(pid: number): void {
  const own = openFiles('self')
  const parent = openFiles(String(process.ppid))
  if (own === undefined || parent?.hard !== own.hard || parent.soft >= own.soft) return
  setOpenFiles(pid, parent.soft, parent.hard)
}

/** Of proc_pid_limits(5); undefined where it can't be read, or a limit is no number. */
function openFiles(process: string): {readonly soft: bigint; readonly hard: bigint} | undefined {
  try {
    const match = /^Max open files\s+(\d+)\s+(\d+)/m.exec(readFileSync(`/proc/${process}/limits`, 'latin1'))
    return match === null ? undefined : {soft: BigInt(match[1] ?? ''), hard: BigInt(match[2] ?? '')}
  } catch {
    return undefined
  }
}
