// How far the boot clock of a caller is ahead of ours: time namespaces shift what sysinfo(2) calls the uptime.

import {readFileSync} from 'node:fs'

import {SystemError} from '../../../ffi/errors.js'
import {FixedMemory, readlinkInto} from '../../../ffi/libc.js'
import {procDirectory} from '../../caller/proc.js'

const link = new FixedMemory(64)

/** The offsets that the supervisor itself lives with; read when the first caller has others. */
let own: {readonly namespace: string; readonly seconds: number} | undefined

/**
 * Seconds by which the boot clock of thread `tid` is ahead of the supervisor's (timens_add_boottime() in do_sysinfo()).
 * 0 where the kernel has no time namespaces, and for a thread that made one for its children alone.
 */
export function bootOffsetSeconds(tid: number): number {
  const namespace = namespaceOf(`${tid}/ns/time`)
  own ??= {namespace: namespaceOf(`${process.pid}/ns/time`), seconds: offsetOf(process.pid)}
  if (namespace === own.namespace || namespace === '') return 0
  // The file shows the offsets of the namespace for children, which is the thread's own after its next fork or exec.
  if (namespace !== namespaceOf(`${tid}/ns/time_for_children`)) return 0
  return offsetOf(tid) - own.seconds
}

/** Empty where the kernel has none, and where the thread is gone. */
function namespaceOf(path: string): string {
  try {
    const length = readlinkInto(procDirectory(), path, link.address, link.bytes.length)
    return link.bytes.toString('latin1', 0, length)
  } catch (error) {
    if (error instanceof SystemError) return ''
    throw error
  }
}

/** The second number of the line `boottime` of time_namespaces(7); a caller that is gone has none. */
function offsetOf(tid: number): number {
  try {
    const line = /^boottime\s+(-?\d+)/mu.exec(readFileSync(`/proc/${tid}/timens_offsets`, 'latin1'))
    return line === null ? 0 : Number(line[1])
  } catch {
    return 0
  }
}
