// Structures in strace's notation as the bytes that the kernel would read. Little endian, as all our ABIs.

import type {StructLayout} from '../intercept/family.js'
import {numberOf} from './numbers.js'
import type {Field, Value} from './strace-notation.js'

/** undefined where the structure is not known: then the call is judged without it, or not at all. */
export function encodeStruct(
  value: Extract<Value, {kind: 'array' | 'struct'}>,
  layoutFor: ((members: readonly string[]) => StructLayout | undefined) | undefined,
  place: (text: Buffer) => number,
): Buffer | undefined {
  if (value.kind === 'array') return value.complete ? encodeInts(value.items) : undefined
  const layout = layoutFor?.(value.fields.flatMap(({name}) => name ?? []))
  if (layout === undefined) return undefined
  const bytes = Buffer.alloc(layout.bytes)
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

function encodeField(
  bytes: Buffer,
  layout: StructLayout,
  {name, value}: Field,
  place: (text: Buffer) => number,
): boolean {
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
