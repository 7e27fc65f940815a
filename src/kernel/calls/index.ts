// System call numbers of every ABI that is supervised, by name and back.

import {ABIS, NATIVE_ABI} from '../abi.js'
import type {Abi} from '../abi.js'
import {AARCH64_CALLS} from './aarch64.js'
import {ARM_CALLS} from './arm.js'
import {I386_CALLS} from './i386.js'
import {X32_CALLS} from './x32.js'
import {X86_64_CALLS} from './x86_64.js'

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

/** The number of a call of ours on this machine; -1, to which the kernel answers ENOSYS, where it has none. */
export function nativeNumber(name: string): number {
  return syscallNumber(NATIVE_ABI, name) ?? -1
}

/** The number of a declared call: its own, or that of its name. */
export function callNumber(
  abi: Abi,
  {name, number}: {readonly name: string; readonly number?: number | undefined},
): number | undefined {
  if (number === undefined) return syscallNumber(abi, name)
  return (number | ABIS[abi].numberBit) >>> 0
}

export function syscallName(abi: Abi, number: number): string | undefined {
  return tableOf(abi).names.get(number >>> 0)
}

export function syscallNames(abi: Abi): readonly string[] {
  return [...tableOf(abi).numbers.keys()]
}
