// seccomp: why a program of the container can't have a listener of its own. On with every other family.

import {showNumber} from '../../../kernel/names/flag-table.js'
import {
  SECCOMP_FILTER_FLAG_NEW_LISTENER,
  SECCOMP_FLAGS,
  SECCOMP_OPERATIONS,
  SECCOMP_SET_MODE_FILTER,
} from '../../../kernel/names/seccomp.js'
import {flags, uint32} from '../../caller/argument-kinds.js'
import {defineFamily, defineSyscall} from '../../family.js'
import type {Verdict} from '../../family.js'

/**
 * The kernel refuses it (has_duplicate_listener() in kernel/seccomp.c), with its own error where the call is wrong in
 * another way, and would know if it could have two. Filters without a listener never get here.
 */
const seccomp = defineSyscall({
  name: 'seccomp',
  arguments: {
    operation: {...uint32(0), show: (value: number) => showNumber(value, SECCOMP_OPERATIONS)},
    flags: flags(1, SECCOMP_FLAGS),
  },
  condition: [
    [
      {argument: 0, width: 32, operator: 'eq', value: BigInt(SECCOMP_SET_MODE_FILTER)},
      {argument: 1, width: 32, mask: BigInt(SECCOMP_FILTER_FLAG_NEW_LISTENER), operator: 'ne', value: 0n},
    ],
  ],
  decide: (): Verdict => ({
    kind: 'continue',
    reason: 'the kernel answers EBUSY to a second listener: the calls of this container are supervised already',
  }),
  perform() {
    throw new Error('a listener is never made for the container')
  },
})

export const seccompFamily = defineFamily<object, undefined>({
  name: 'seccomp',
  summary: 'tells why a program of the container gets no seccomp listener of its own',
  strategies: [],
  policy: {flags: [], fromFlags: () => undefined, beyond: () => []},
  select: (policy) => (Object.keys(policy).length === 0 ? undefined : {}),
  calls: () => [seccomp],
  start: () => undefined,
})
