// sysinfo: the memory, swap, processes, load and uptime of the container instead of the host's.

import {isSystemError} from '../../../ffi/errors.js'
import {bootTimeMs, hostSysinfoReader, pageSize} from '../../../ffi/sysinfo.js'
import type {HostSysinfo} from '../../../ffi/sysinfo.js'
import {ERRNO} from '../../../kernel/errno.js'
import {pointer} from '../../caller/argument-kinds.js'
import type {ContainerDescription} from '../../container.js'
import {defineFamily, defineSyscall} from '../../family.js'
import type {Performed} from '../../family.js'
import {CgroupReader} from './cgroup-reader.js'
import {encodeSysinfo} from './layout.js'
import type {SysinfoFigures} from './layout.js'
import {LoadAverage, startLoadSampling} from './load-average.js'
import {sysinfoPolicy} from './policy.js'
import type {SysinfoPolicy} from './policy.js'
import {bootOffsetSeconds} from './time-namespace.js'

/** What one worker keeps between calls. */
export interface SysinfoState {
  readonly reader: CgroupReader
  readonly load: LoadAverage
  readonly readHost: () => HostSysinfo
  readonly bootTimeMs: () => number
  readonly startedMs: number
  readonly pageSize: number
}

export const sysinfo = defineSyscall({
  name: 'sysinfo',
  arguments: {info: pointer(0)},
  worksNatively: true,
  lane: 'hot',
  decide: (_values, _facts, _policy: SysinfoPolicy) => ({kind: 'perform', reason: 'figures of the container'}),
  perform({info}, caller, state: SysinfoState): Performed {
    const {figures, strategy, reason} = measure(state, caller.tid)
    try {
      caller.memory.write(info, encodeSysinfo(figures, caller.abi, state.pageSize))
    } catch (error) {
      if (isSystemError(error, ERRNO.EFAULT)) return {kind: 'failed', errno: ERRNO.EFAULT, strategy}
      throw error
    }
    return {kind: 'done', value: 0, strategy, reason}
  },
})

export interface Measurement {
  readonly figures: SysinfoFigures
  readonly strategy: 'cgroup' | 'host'
  readonly reason: string
}

/** The figures now, for a call that thread `tid` makes. */
export function measure({reader, load, readHost, bootTimeMs: now, startedMs}: SysinfoState, tid: number): Measurement {
  const host = readHost()
  const memory = reader.memory(host.totalRam)
  const swap = reader.swap(host.totalSwap, host.freeSwap)
  const figures: SysinfoFigures = {
    // do_sysinfo() counts a second that has begun.
    uptimeSeconds: Math.max(0, Math.ceil((now() - startedMs) / 1000) + bootOffsetSeconds(tid)),
    loads: load.read(tid),
    totalRam: memory?.total ?? host.totalRam,
    freeRam: memory?.free ?? host.freeRam,
    sharedRam: memory?.shared ?? host.sharedRam,
    // Buffers of block devices are counted for no cgroup; the cache that is counted is in freeRam already.
    bufferRam: memory === undefined ? host.bufferRam : 0,
    totalSwap: swap.total,
    freeSwap: swap.free,
    processes: reader.processes() ?? load.tasks(),
  }
  return memory === undefined
    ? {figures, strategy: 'host', reason: 'no memory limit below that of the host'}
    : {figures, strategy: 'cgroup', reason: `memory limit ${memory.total} of the container`}
}

/** `load`: memory that startLoadSampling() fills. */
export function startSysinfo(container: ContainerDescription, load?: SharedArrayBuffer): SysinfoState {
  return {
    reader: new CgroupReader(container.cgroup),
    load: new LoadAverage(container, load),
    readHost: hostSysinfoReader(),
    bootTimeMs,
    startedMs: container.startedMs,
    pageSize: pageSize(),
  }
}

export const sysinfoFamily = defineFamily<SysinfoPolicy, SysinfoState, SharedArrayBuffer>({
  name: 'sysinfo',
  summary: 'memory, swap, uptime, load and processes of the container',
  strategies: [
    {
      name: 'cgroup',
      summary: 'limits and usage of the cgroup of the container and of those above',
      needs: 'a memory cgroup with a limit (--memory, or one around interceptor)',
    },
    {name: 'host', summary: "the host's memory, with uptime, load and processes of the container", needs: 'nothing'},
  ],
  policy: sysinfoPolicy,
  calls: () => [sysinfo],
  attach(_policy, container) {
    const {memory, stop} = startLoadSampling(container)
    return {shared: memory, stop}
  },
  start: (_policy, container, load) => startSysinfo(container, load),
})
