// struct sysinfo as each ABI lays it out. Pure.

import {ABIS} from '../../../kernel/abi.js'
import type {Abi} from '../../../kernel/abi.js'

/** Amounts of memory in bytes. */
export interface SysinfoFigures {
  readonly uptimeSeconds: number
  /** Number of tasks, over 1, 5 and 15 minutes. */
  readonly loads: readonly [number, number, number]
  readonly totalRam: number
  readonly freeRam: number
  readonly sharedRam: number
  readonly bufferRam: number
  readonly totalSwap: number
  readonly freeSwap: number
  readonly processes: number
}

/** linux/sysinfo.h: SI_LOAD_SHIFT. */
const LOAD_UNIT = 65_536
const UINT32_MAX = 2 ** 32 - 1
const INT32_MAX = 2 ** 31 - 1

/** x32 has the layout of x86_64: its __kernel_long_t has 64 bits, and its table names sys_sysinfo itself. */
export function isCompat(abi: Abi): boolean {
  return ABIS[abi].bits === 32
}

export function encodeSysinfo(figures: SysinfoFigures, abi: Abi, pageSize: number): Buffer {
  return isCompat(abi) ? encode32(figures, pageSize) : encode64(figures)
}

/** The unit is always 1: do_sysinfo() gives bytes where they fit unsigned long. High memory is left 0. */
function encode64(figures: SysinfoFigures): Buffer {
  const bytes = Buffer.alloc(112)
  const put = (offset: number, value: number) => {
    bytes.writeUInt32LE(value % 2 ** 32, offset)
    bytes.writeUInt32LE(Math.floor(value / 2 ** 32), offset + 4)
  }
  put(0, figures.uptimeSeconds)
  for (let index = 0; index < 3; index++) put(8 + 8 * index, fixedPoint(figures.loads[index]!))
  put(32, figures.totalRam)
  put(40, figures.freeRam)
  put(48, figures.sharedRam)
  put(56, figures.bufferRam)
  put(64, figures.totalSwap)
  put(72, figures.freeSwap)
  bytes.writeUInt16LE(clampProcesses(figures.processes), 80)
  bytes.writeUInt32LE(1, 104)
  return bytes
}

/** As COMPAT_SYSCALL_DEFINE1(sysinfo) in kernel/sys.c: pages instead of bytes as soon as a total needs 33 bits. */
function encode32(figures: SysinfoFigures, pageSize: number): Buffer {
  const bytes = Buffer.alloc(64)
  const unit = figures.totalRam > UINT32_MAX || figures.totalSwap > UINT32_MAX ? pageSize : 1
  // More than 16 TiB in pages of 4 KiB fits no better; the kernel would wrap, which helps nobody.
  const put = (offset: number, value: number) => {
    bytes.writeUInt32LE(Math.min(UINT32_MAX, Math.floor(value / unit)), offset)
  }
  bytes.writeInt32LE(Math.min(INT32_MAX, figures.uptimeSeconds), 0)
  for (let index = 0; index < 3; index++) {
    bytes.writeUInt32LE(Math.min(UINT32_MAX, fixedPoint(figures.loads[index]!)), 4 + 4 * index)
  }
  put(16, figures.totalRam)
  put(20, figures.freeRam)
  put(24, figures.sharedRam)
  put(28, figures.bufferRam)
  put(32, figures.totalSwap)
  put(36, figures.freeSwap)
  bytes.writeUInt16LE(clampProcesses(figures.processes), 40)
  bytes.writeUInt32LE(unit, 52)
  return bytes
}

function fixedPoint(load: number): number {
  return Math.round(load * LOAD_UNIT)
}

/** The field has 16 bits. */
function clampProcesses(processes: number): number {
  return Math.min(65_535, processes)
}
