// union bpf_attr of the commands that are intercepted: read once, decoded, shown as strace does. linux/bpf.h.

import {PAGE_BYTES} from '../../../kernel/constants.js'
import {
  BPF_ATTACH_FLAGS,
  BPF_ATTACH_TYPES,
  BPF_COMMANDS,
  BPF_LINK_CREATE,
  BPF_PROGRAM_TYPES,
  BPF_PROG_ATTACH,
  BPF_PROG_DETACH,
  BPF_PROG_LOAD,
  BPF_PROG_QUERY,
} from '../../../kernel/names/bpf.js'
import {showFlags, showNumber} from '../../../kernel/names/flag-table.js'
import {quote} from '../../caller/escape.js'
import type {Argument, ArgumentIndex, Json, StructLayout} from '../../family.js'

/** sizeof(union bpf_attr) of the first kernel with links; what lies behind it may be newer than the kernel. */
const OLD_ATTR_BYTES = 120
/** Of the members below. */
const ATTR_BYTES = 168

interface Member {
  readonly name: string
  readonly offset: number
  readonly bytes: 4 | 8 | 16
}

const u32 = (offset: number, ...names: readonly string[]): Member[] =>
  names.map((name, index) => ({name, offset: offset + index * 4, bytes: 4}))
const u64 = (offset: number, ...names: readonly string[]): Member[] =>
  names.map((name, index) => ({name, offset: offset + index * 8, bytes: 8}))

const PROG_LOAD: readonly Member[] = [
  ...u32(0, 'prog_type', 'insn_cnt'),
  ...u64(8, 'insns', 'license'),
  ...u32(24, 'log_level', 'log_size'),
  ...u64(32, 'log_buf'),
  ...u32(40, 'kern_version', 'prog_flags'),
  {name: 'prog_name', offset: 48, bytes: 16},
  ...u32(64, 'prog_ifindex', 'expected_attach_type', 'prog_btf_fd', 'func_info_rec_size'),
  ...u64(80, 'func_info'),
  ...u32(88, 'func_info_cnt', 'line_info_rec_size'),
  ...u64(96, 'line_info'),
  ...u32(104, 'line_info_cnt', 'attach_btf_id', 'attach_prog_fd', 'core_relo_cnt'),
  ...u64(120, 'fd_array', 'core_relos'),
  ...u32(136, 'core_relo_rec_size', 'log_true_size', 'prog_token_fd', 'fd_array_cnt'),
  ...u64(152, 'signature'),
  ...u32(160, 'signature_size', 'keyring_id'),
]
const PROG_ATTACH: readonly Member[] = [
  ...u32(0, 'target_fd', 'attach_bpf_fd', 'attach_type', 'attach_flags', 'replace_bpf_fd', 'relative_fd'),
  ...u64(24, 'expected_revision'),
]
const PROG_QUERY: readonly Member[] = [
  ...u32(0, 'target_fd', 'attach_type', 'query_flags', 'attach_flags'),
  ...u64(16, 'prog_ids'),
  ...u32(24, 'prog_cnt'),
  ...u64(32, 'prog_attach_flags', 'link_ids', 'link_attach_flags', 'revision'),
]
const LINK_CREATE: readonly Member[] = [
  ...u32(0, 'prog_fd', 'target_fd', 'attach_type', 'flags', 'relative_fd'),
  ...u64(24, 'expected_revision'),
]

/** By the commands that are intercepted. */
export const LAYOUTS: ReadonlyMap<number, readonly Member[]> = new Map([
  [BPF_PROG_LOAD, PROG_LOAD],
  [BPF_PROG_ATTACH, PROG_ATTACH],
  [BPF_PROG_DETACH, PROG_ATTACH],
  [BPF_PROG_QUERY, PROG_QUERY],
  [BPF_LINK_CREATE, LINK_CREATE],
])

/** The decoded attribute: plain data, as it crosses to the log. */
export interface BpfAttr {
  /** Where the caller has it, for the members that the kernel writes. */
  readonly address: number
  /** Members by the kernel's name. 64-bit ones above 2^53 are NaN. What the caller left out is 0, as in the kernel. */
  readonly members: Readonly<Record<string, number>>
  /** prog_name up to its NUL, one character for each byte. */
  readonly progName: string
  /** Bytes that no known member covers: `inside` the oldest union, where every kernel looks, or `beyond` it. */
  readonly rest: 'beyond' | 'inside' | null
}

/** null where the size is above the kernel's limit. */
export function bpfAttr(index: ArgumentIndex, command: ArgumentIndex, size: ArgumentIndex): Argument<BpfAttr | null> {
  return {
    index,
    read(registers, memory) {
      const length = registers.uint32(size)
      // bpf_check_uarg_tail_zero(): E2BIG.
      if (length > PAGE_BYTES) return null
      const address = registers.address(index)
      return {address, ...decodeAttr(registers.int32(command), memory.bytes(address, length))}
    },
    show: (value) => (value === null ? '...' : showAttr(value)),
    json: (value) => (value === null ? null : jsonAttr(value)),
    layout: layoutOf,
  }
}

/** By the names that strace gives to parts of the union, and to members that the others do not have. */
function layoutOf(names: readonly string[]): StructLayout | undefined {
  const known = names.includes('prog_type')
    ? PROG_LOAD
    : names.includes('query') || names.includes('query_flags')
      ? PROG_QUERY
      : names.includes('link_create')
        ? LINK_CREATE
        : names.includes('attach_type')
          ? PROG_ATTACH
          : undefined
  if (known === undefined) return undefined
  const types = {4: 'u32', 8: 'u64', 16: 'text'} as const
  const members = known.map(({name, offset, bytes}) => {
    return [name, {offset, type: name === 'license' ? 'pointer' : types[bytes]}] as const
  })
  return {bytes: ATTR_BYTES, members: Object.fromEntries(members)}
}

export function decodeAttr(command: number, given: Buffer): Omit<BpfAttr, 'address'> {
  const known = LAYOUTS.get(command) ?? []
  const bytes = Buffer.alloc(PAGE_BYTES)
  given.copy(bytes)
  const members: Record<string, number> = {}
  let progName = ''
  const rest = Buffer.from(bytes.subarray(0, given.length))
  for (const {name, offset, bytes: length} of known) {
    rest.fill(0, Math.min(offset, rest.length), Math.min(offset + length, rest.length))
    if (length === 4) members[name] = bytes.readUInt32LE(offset)
    else if (length === 8) members[name] = safeNumber(bytes.readBigUInt64LE(offset))
    else progName = untilNul(bytes.toString('latin1', offset, offset + length))
  }
  const last = rest.findLastIndex((byte) => byte !== 0)
  return {members, progName, rest: last < 0 ? null : last < OLD_ATTR_BYTES ? 'inside' : 'beyond'}
}

const safeNumber = (value: bigint): number => (value < 2n ** 53n ? Number(value) : NaN)

function untilNul(text: string): string {
  const end = text.indexOf('\0')
  return end === -1 ? text : text.slice(0, end)
}

function commandName(command: number): string {
  return showNumber(command, BPF_COMMANDS)
}

/** The first register of bpf(2), by name. */
export function bpfCommand(index: ArgumentIndex): Argument<number> {
  return {index, read: (registers) => registers.int32(index), show: commandName, json: commandName}
}

const POINTERS = new Set(
  (
    'insns license log_buf func_info line_info fd_array core_relos signature ' +
    'prog_ids prog_attach_flags link_ids link_attach_flags'
  ).split(' '),
)
/** Shown even where it is 0; other members only where they say something. */
const ALWAYS = new Set('prog_type insn_cnt target_fd attach_bpf_fd attach_type prog_fd'.split(' '))

function showAttr({members, progName, rest}: BpfAttr): string {
  const shown = Object.entries(members)
    .filter(([name, value]) => value !== 0 || ALWAYS.has(name))
    .map(([name, value]) => `${name}=${showMember(name, value)}`)
  if (progName !== '') shown.push(`prog_name=${quote(Buffer.from(progName, 'latin1'))}`)
  if (rest !== null) shown.push('...')
  return `{${shown.join(', ')}}`
}

function showMember(name: string, value: number): string {
  if (name === 'prog_type') return showNumber(value, BPF_PROGRAM_TYPES)
  if (name === 'attach_type') return showNumber(value, BPF_ATTACH_TYPES)
  if (name === 'attach_flags' || name === 'flags') return showFlags(value, BPF_ATTACH_FLAGS)
  if (POINTERS.has(name)) return Number.isNaN(value) ? 'invalid pointer' : `0x${value.toString(16)}`
  if (Number.isNaN(value)) return 'above 2^53'
  return String(name.endsWith('_fd') ? value | 0 : value)
}

function jsonAttr({members, progName}: BpfAttr): Json {
  const entries = Object.entries(members)
    .filter(([name, value]) => value !== 0 || ALWAYS.has(name))
    .map(([name, value]) => [name, name.endsWith('_fd') ? value | 0 : Number.isNaN(value) ? null : value] as const)
  return {...Object.fromEntries(entries), ...(progName === '' ? {} : {prog_name: progName})}
}
