// Whether a call may be about an emulated node at all: the pure half of follow-up.ts and attributes.ts.

import type {CallerFacts, Verdict} from '../../family.js'

/** Of all the calls that are looked at only the few on emulated nodes are worth a line in the log. */
export const NOT_EMULATED = {kind: 'continue', reason: 'no emulated node', silent: true} as const

export function precheck({bound}: {readonly bound: {readonly size: number}}): Verdict | undefined {
  return bound.size === 0 ? NOT_EMULATED : undefined
}

/** A nested user namespace keeps what the kernel says: its capabilities mean nothing for these files. */
export function decideFollowUp(_values: unknown, facts: CallerFacts): Verdict {
  return facts.inContainerUserNamespace
    ? {kind: 'perform', reason: 'the path may be an emulated node'}
    : {kind: 'continue', reason: 'the caller is in a user namespace of its own', silent: true}
}
