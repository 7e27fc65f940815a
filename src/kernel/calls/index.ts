// System call numbers and audit architectures of every ABI that is supervised.

import type {Abi} from '../../intercept/family.js'
import {AARCH64_CALLS} from './aarch64.js'
import {ARM_CALLS} from './arm.js'
import {I386_CALLS} from './i386.js'
import {X32_CALLS} from './x32.js'
import {X86_64_CALLS} from './x86_64.js'

/** Set in every system call number of x32 (asm/unistd.h); the audit architecture is that of x86_64. */
export const X32_SYSCALL_BIT = 0x4000_0000

/** linux/audit.h: ELF machine, 64-bit flag 0x80000000, little-endian flag 0x40000000. */
export const AUDIT_ARCH_X86_64 = 0xc000_003e
export const AUDIT_ARCH_I386 = 0x4000_0003
export const AUDIT_ARCH_AARCH64 = 0xc000_00b7
export const AUDIT_ARCH_ARM = 0x4000_0028

export const AUDIT_ARCH: Readonly<Record<Abi, number>> = {
  aarch64: AUDIT_ARCH_AARCH64,
  arm: AUDIT_ARCH_ARM,
  i386: AUDIT_ARCH_I386,
  x32: AUDIT_ARCH_X86_64,
  x86_64: AUDIT_ARCH_X86_64,
}

const SPACE = 0x20

interface Table {
  readonly numbers: ReadonlyMap<string, number>
  readonly names: ReadonlyMap<number, string>
}

function parse(calls: string): Table {
  const numbers = new Map<string, number>()
  const names = new Map<number, string>()
  for (const word of calls.trim().split(/\s+/)) {
    const [name = '', digits] = word.split('=')
    const number = Number(digits)
    numbers.set(name, number)
    names.set(number, name)
  }
  return {numbers, names}
}

const CALLS: Readonly<Record<Abi, string>> = {
  aarch64: AARCH64_CALLS,
  arm: ARM_CALLS,
  i386: I386_CALLS,
  x32: X32_CALLS,
  x86_64: X86_64_CALLS,
}

const tables: Partial<Record<Abi, Table>> = {}

/** Read when all of it is first asked for, as for the name of any number. */
function tableOf(abi: Abi): Table {
  return (tables[abi] ??= parse(CALLS[abi]))
}

/** The number of a call by the kernel's name; undefined where the ABI lacks it. Numbers of x32 carry bit 30. */
export function syscallNumber(abi: Abi, name: string): number | undefined {
  const table = tables[abi]
  return table === undefined ? findNumber(CALLS[abi], name) : table.numbers.get(name)
}

/** Without reading the whole table: a filter is about a few calls only. */
function findNumber(calls: string, name: string): number | undefined {
  const word = `${name}=`
  for (let at = calls.indexOf(word); at !== -1; at = calls.indexOf(word, at + 1)) {
    if (at === 0 || calls.charCodeAt(at - 1) <= SPACE) return Number.parseInt(calls.slice(at + word.length), 10)
  }
  return undefined
}

/** The number of a declared call: its own, or that of its name. */
export function callNumber(
  abi: Abi,
  {name, number}: {readonly name: string; readonly number?: number | undefined},
): number | undefined {
  if (number === undefined) return syscallNumber(abi, name)
  return abi === 'x32' ? (number | X32_SYSCALL_BIT) >>> 0 : number
}

export function syscallName(abi: Abi, number: number): string | undefined {
  return tableOf(abi).names.get(number >>> 0)
}

export function syscallNames(abi: Abi): readonly string[] {
  return [...tableOf(abi).numbers.keys()]
}

/** The ABI of a call as seccomp_data describes it; undefined for an architecture that is not supervised. */
export function abiOf(arch: number, number: number): Abi | undefined {
  switch (arch >>> 0) {
    case AUDIT_ARCH_X86_64:
      return (number & X32_SYSCALL_BIT) === 0 ? 'x86_64' : 'x32'
    case AUDIT_ARCH_I386:
      return 'i386'
    case AUDIT_ARCH_AARCH64:
      return 'aarch64'
    case AUDIT_ARCH_ARM:
      return 'arm'
    default:
      return undefined
  }
}

/** ABIs that a process on this machine may use, the native one first. `machine` is process.arch. */
export function machineAbis(machine: string): readonly Abi[] {
  switch (machine) {
    case 'x64':
      return ['x86_64', 'i386', 'x32']
    case 'arm64':
      return ['aarch64', 'arm']
    default:
      return []
  }
}
