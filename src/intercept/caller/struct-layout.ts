// Layouts of structures, written down by the names of neighbours.

import type {StructLayout, StructMember} from '../family.js'

/** Members of one type, each `step` bytes behind the one before it. */
export function members(
  type: StructMember['type'],
  names: string,
  first: number,
  step: number,
): StructLayout['members'] {
  return Object.fromEntries(names.split(' ').map((name, index) => [name, {offset: first + step * index, type}]))
}
