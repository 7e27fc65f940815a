// Structures in strace's notation as the bytes that the kernel would read. Little endian, as all our ABIs.

import {numberOf} from './numbers.js'
import type {Field, Value} from './strace-notation.js'

interface Member {
  readonly offset: number
  /** `pointer`: a string that the structure points to. `text`: bytes in the structure itself. */
  readonly type: 'pointer' | 'text' | 'u32' | 'u64'
}

interface Layout {
  readonly size: number
  readonly members: Readonly<Record<string, Member>>
}

const members = (type: Member['type'], names: string, first: number, step: number): Record<string, Member> =>
  Object.fromEntries(names.split(' ').map((name, index) => [name, {offset: first + step * index, type}]))

/** linux/sched/types.h */
const SCHED_ATTR: Layout = {
  size: 56,
  members: {
    ...members('u32', 'size sched_policy', 0, 4),
    sched_flags: {offset: 8, type: 'u64'},
    ...members('u32', 'sched_nice sched_priority', 16, 4),
    ...members('u64', 'sched_runtime sched_deadline sched_period', 24, 8),
    ...members('u32', 'sched_util_min sched_util_max', 48, 4),
  },
}

const SCHED_PARAM: Layout = {size: 4, members: {sched_priority: {offset: 0, type: 'u32'}}}

/** linux/xattr.h */
const XATTR_ARGS: Layout = {
  size: 16,
  members: {value: {offset: 0, type: 'pointer'}, ...members('u32', 'size flags', 8, 4)},
}

/** linux/mount.h */
const MOUNT_ATTR: Layout = {size: 32, members: members('u64', 'attr_set attr_clr propagation userns_fd', 0, 8)}

/** union bpf_attr, linux/bpf.h, by the name that strace gives the part; '' where it gives none. */
const BPF_PROG_LOAD: Layout = {
  size: 144,
  members: {
    ...members('u32', 'prog_type insn_cnt', 0, 4),
    insns: {offset: 8, type: 'u64'},
    license: {offset: 16, type: 'pointer'},
    ...members('u32', 'log_level log_size', 24, 4),
    log_buf: {offset: 32, type: 'u64'},
    ...members('u32', 'kern_version prog_flags', 40, 4),
    prog_name: {offset: 48, type: 'text'},
    ...members('u32', 'prog_ifindex expected_attach_type prog_btf_fd func_info_rec_size', 64, 4),
  },
}
const BPF_ATTACH: Layout = {
  size: 32,
  members: members('u32', 'target_fd attach_bpf_fd attach_type attach_flags replace_bpf_fd', 0, 4),
}
const BPF_QUERY: Layout = {
  size: 40,
  members: {
    ...members('u32', 'target_fd attach_type query_flags attach_flags', 0, 4),
    prog_ids: {offset: 16, type: 'u64'},
    prog_cnt: {offset: 24, type: 'u32'},
  },
}
const BPF_LINK: Layout = {size: 48, members: members('u32', 'prog_fd target_fd attach_type flags', 0, 4)}

function layoutFor(call: string, index: number, fields: readonly Field[]): Layout | undefined {
  switch (`${call} ${index}`) {
    case 'sched_setattr 1':
      return SCHED_ATTR
    case 'sched_setscheduler 2':
    case 'sched_setparam 1':
      return SCHED_PARAM
    case 'setxattrat 4':
    case 'getxattrat 4':
      return XATTR_ARGS
    case 'mount_setattr 3':
    case 'open_tree_attr 3':
      return MOUNT_ATTR
    case 'bpf 1': {
      const has = (name: string): boolean => fields.some((field) => field.name === name)
      if (has('prog_type')) return BPF_PROG_LOAD
      if (has('query') || has('query_flags')) return BPF_QUERY
      if (has('link_create')) return BPF_LINK
      return has('attach_type') ? BPF_ATTACH : undefined
    }
    default:
      return undefined
  }
}

/** undefined where the structure is not known: then the call is judged without it, or not at all. */
export function encodeStruct(
  call: string,
  index: number,
  value: Extract<Value, {kind: 'array' | 'struct'}>,
  place: (text: Buffer) => number,
): Buffer | undefined {
  if (value.kind === 'array') return value.complete ? encodeInts(value.items) : undefined
  const layout = layoutFor(call, index, value.fields)
  if (layout === undefined) return undefined
  const bytes = Buffer.alloc(layout.size)
  return value.fields.every((field) => encodeField(bytes, layout, field, place)) ? bytes : undefined
}

/** `[50]`: what an int * points to. */
function encodeInts(items: readonly Value[]): Buffer | undefined {
  const bytes = Buffer.alloc(items.length * 4)
  for (const [index, item] of items.entries()) {
    const number = numberOf(item)
    if (number === undefined) return undefined
    bytes.writeInt32LE(Number(BigInt.asIntN(32, number)), index * 4)
  }
  return bytes
}

function encodeField(bytes: Buffer, layout: Layout, {name, value}: Field, place: (text: Buffer) => number): boolean {
  const member = name === undefined ? undefined : layout.members[name]
  if (member === undefined) {
    // `{link_create={...}}`, and members of newer kernels, which are 0 in what decides.
    if (value.kind !== 'struct') return true
    return value.fields.every((field) => encodeField(bytes, layout, field, place))
  }
  if (value.kind === 'string') {
    if (member.type === 'text') value.bytes.copy(bytes, member.offset, 0, 15)
    else bytes.writeBigUInt64LE(BigInt(place(value.bytes)), member.offset)
    return true
  }
  const number = numberOf(value)
  if (number === undefined) return member.type === 'pointer'
  if (member.type === 'u32') bytes.writeUInt32LE(Number(BigInt.asUintN(32, number)), member.offset)
  else bytes.writeBigUInt64LE(BigInt.asUintN(64, number), member.offset)
  return true
}
