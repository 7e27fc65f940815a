// sysinfo(2) and the boot clock of the host.

import {declare, declareLong} from './declare.js'

/** Amounts in bytes. */
export interface HostSysinfo {
  readonly totalRam: number
  readonly freeRam: number
  readonly sharedRam: number
  readonly bufferRam: number
  readonly totalSwap: number
  readonly freeSwap: number
  readonly processes: number
}

const CLOCK_BOOTTIME = 7
const SC_PAGESIZE = 30

const callSysinfo = declare('sysinfo', ['buffer'])
const callClockGettime = declare('clock_gettime', ['int', 'buffer'])
const callSysconf = declareLong('sysconf', ['int'])

/** struct sysinfo of a 64-bit machine: linux/sysinfo.h. */
const SYSINFO_BYTES = 112

/** Reads the host's figures again and again into the same memory. */
export function hostSysinfoReader(): () => HostSysinfo {
  const bytes = Buffer.alloc(SYSINFO_BYTES)
  const uint64 = (offset: number) => bytes.readUInt32LE(offset) + bytes.readUInt32LE(offset + 4) * 2 ** 32
  return () => {
    callSysinfo(bytes)
    const unit = bytes.readUInt32LE(104)
    return {
      totalRam: uint64(32) * unit,
      freeRam: uint64(40) * unit,
      sharedRam: uint64(48) * unit,
      bufferRam: uint64(56) * unit,
      totalSwap: uint64(64) * unit,
      freeSwap: uint64(72) * unit,
      processes: bytes.readUInt16LE(80),
    }
  }
}

/** Milliseconds since boot, time asleep included. */
export function bootTimeMs(): number {
  const time = Buffer.alloc(16)
  callClockGettime(CLOCK_BOOTTIME, time)
  const seconds = time.readUInt32LE(0) + time.readUInt32LE(4) * 2 ** 32
  return seconds * 1000 + time.readUInt32LE(8) / 1e6
}

export function pageSize(): number {
  return callSysconf(SC_PAGESIZE)
}
