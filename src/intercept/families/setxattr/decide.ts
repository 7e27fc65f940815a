// Which extended attributes are set, read and removed for the container: the pure half of index.ts.

import {CAP, capabilityMask} from '../../../kernel/capabilities.js'
import {XATTR_SIZE_MAX} from '../../../kernel/constants.js'
import {ERRNO} from '../../../kernel/errno.js'
import type {Unread} from '../../caller/tolerant.js'
import type {CallerFacts, Verdict} from '../../family.js'
import {allowedBy} from '../../hint.js'
import {RECORDED_PREFIX} from '../../records.js'
import {allow} from './policy.js'
import type {SetxattrPolicy} from './policy.js'

const CAP_SYS_ADMIN = capabilityMask(CAP.SYS_ADMIN)
const KNOWN_FLAGS = 3

const TRUSTED = 'trusted.'
const RECORDED = `${RECORDED_PREFIX}${TRUSTED}`

/** Everything that is no trusted attribute, and every name that can't be read: the kernel does all of it by itself. */
const NOT_OURS: Verdict = {kind: 'continue', silent: true, reason: 'the kernel serves this attribute by itself'}
const NESTED: Verdict = {kind: 'continue', reason: 'the caller is in a user namespace of its own'}
const WRONG: Verdict = {kind: 'continue', reason: 'the kernel has an error of its own for these arguments'}

interface NameValue {
  readonly name: Buffer | Unread
}

export interface ChangeValues extends NameValue {
  readonly flags?: number
  /** null: longer than any value may be. */
  readonly value?: Buffer | Unread | null
}

/** setxattr and removexattr. */
export function decideChange(
  {name, flags = 0, value}: ChangeValues,
  facts: CallerFacts,
  policy: SetxattrPolicy,
  rootless: boolean,
): Verdict {
  const text = textOf(name)
  if (rootless && text?.startsWith(RECORDED) === true) {
    return {kind: 'refuse', errno: ERRNO.EPERM, reason: `${RECORDED}* is where trusted attributes are kept`}
  }
  if (text?.startsWith(TRUSTED) !== true) return NOT_OURS
  if (!facts.inContainerUserNamespace) return NESTED
  // setxattr_copy() in fs/xattr.c looks at these first, and so it will.
  if ((flags & ~KNOWN_FLAGS) !== 0 || value === null) return WRONG
  if ((facts.effective & CAP_SYS_ADMIN) === 0n) {
    return {kind: 'refuse', errno: ERRNO.EPERM, reason: 'the caller lacks CAP_SYS_ADMIN'}
  }
  if (!policy.names.includes(text)) {
    return {
      kind: 'refuse',
      errno: ERRNO.EPERM,
      reason: `${text} is not allowlisted`,
      hint: allowedBy(allow, text),
    }
  }
  return {kind: 'perform', reason: `${text} is allowlisted`}
}

/** getxattr: what may not be read is not there, which is what the kernel says of it by itself. */
export function decideGet({name}: NameValue, facts: CallerFacts, policy: SetxattrPolicy, rootless: boolean): Verdict {
  const text = textOf(name)
  if (text === undefined || !policy.names.includes(text)) {
    if (rootless && text?.startsWith(RECORDED) === true) return {kind: 'perform', reason: 'it is shown as trusted.*'}
    return NOT_OURS
  }
  if (!isTrustedCaller(facts)) return {...NOT_OURS, reason: 'the caller may not see trusted attributes'}
  return {kind: 'perform', reason: `${text} is allowlisted`}
}

/** listxattr: with `rootless` also for who may not see trusted.*, so that what they are kept as is not seen either. */
export function decideList(_values: unknown, facts: CallerFacts, _policy: SetxattrPolicy, rootless: boolean): Verdict {
  if (!rootless && !isTrustedCaller(facts)) return {...NOT_OURS, reason: 'the caller may not see trusted attributes'}
  return {kind: 'perform', reason: 'allowlisted trusted attributes are shown'}
}

export function isTrustedCaller(facts: CallerFacts): boolean {
  return (facts.effective & CAP_SYS_ADMIN) !== 0n && facts.inContainerUserNamespace
}

/** Names are compared as bytes; every byte is one character here. */
export function textOf(name: Buffer | Unread): string | undefined {
  return 'errno' in name ? undefined : name.toString('latin1')
}

export {XATTR_SIZE_MAX}
