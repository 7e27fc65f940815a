// setxattr of an access list on an emulated node: cp and others set the mode in this way where they know of such lists.

import {AT_SYMLINK_NOFOLLOW, XATTR_NAME_MAX, XATTR_SIZE_MAX} from '../../../kernel/constants.js'
import {ERRNO} from '../../../kernel/errno.js'
import {
  ACL_ENTRY_BYTES,
  ACL_GROUP_OBJ,
  ACL_HEADER_BYTES,
  ACL_OTHER,
  ACL_USER_OBJ,
  ACL_VERSION,
} from '../../../kernel/names/acl.js'
import {XATTR_FLAGS} from '../../../kernel/names/setxattr.js'
import {buffer, flags, int32, path, size, string} from '../../caller/argument-kinds.js'
import {isUnread, tolerant} from '../../caller/tolerant.js'
import type {Unread} from '../../caller/tolerant.js'
import {defineSyscall} from '../../family.js'
import type {AnyCall, ArgumentIndex, Caller, CallerFacts, Performed, Verdict} from '../../family.js'
import {changeMode, find} from './attributes.js'
import type {Target} from './attributes.js'
import {NOT_EMULATED, decideFollowUp, precheck} from './follow-up-decide.js'
import type {MknodState} from './make-node.js'
import type {MknodPolicy} from './policy.js'

const ACCESS_LIST = Buffer.from('system.posix_acl_access')
/** Tags of a list that says no more than a mode, with the place of its permissions there. */
const SHIFTS: Readonly<Record<number, number>> = {
  [ACL_USER_OBJ]: 6,
  [ACL_GROUP_OBJ]: 3,
  [ACL_OTHER]: 0,
}

interface Values {
  readonly name: Buffer | Unread
  readonly value: Buffer | Unread | null
}

// In step with families/setxattr/, with whose calls these are combined.
const common = {
  name: tolerant(string(1, XATTR_NAME_MAX + 1)),
  value: tolerant(buffer(2, 3, XATTR_SIZE_MAX)),
  size: size(3),
  flags: flags(4, XATTR_FLAGS),
}
const pathAt = (index: ArgumentIndex) => tolerant(path(index))

export const accessListCalls: readonly AnyCall<MknodPolicy, MknodState>[] = [
  defineSyscall({
    name: 'setxattr',
    arguments: {path: pathAt(0), ...common},
    precheck,
    decide,
    perform: (values, caller: Caller, state: MknodState) => perform(values, at(values.path), caller, state),
  }),
  defineSyscall({
    name: 'lsetxattr',
    arguments: {path: pathAt(0), ...common},
    precheck,
    decide,
    perform: (values, caller: Caller, state: MknodState) =>
      perform(values, at(values.path, AT_SYMLINK_NOFOLLOW), caller, state),
  }),
  defineSyscall({
    name: 'fsetxattr',
    arguments: {fd: int32(0), ...common},
    precheck,
    decide,
    perform: (values, caller: Caller, state: MknodState) => perform(values, {fd: values.fd}, caller, state),
  }),
]

function at(name: Buffer | Unread, flagBits = 0): Target | undefined {
  return isUnread(name) ? undefined : {path: name, flags: flagBits}
}

function decide({name}: Values, facts: CallerFacts): Verdict {
  if (isUnread(name) || !name.equals(ACCESS_LIST)) return NOT_EMULATED
  return decideFollowUp(undefined, facts)
}

function perform({value}: Values, target: Target | undefined, caller: Caller, state: MknodState): Performed {
  const found = target && find(target, caller, state)
  if (found === undefined || value === null || isUnread(value)) return NOT_EMULATED
  const permissions = modeOf(value)
  if (permissions !== undefined) return changeMode(found, (found.node.mode & ~0o777) | permissions, caller, state)
  if (found.node.mountId === undefined) return NOT_EMULATED
  const {strategy} = found.node
  // What a file system without access lists answers, so that programs go on with the mode.
  return {kind: 'failed', errno: ERRNO.EOPNOTSUPP, strategy, reason: 'an emulated node keeps no access list'}
}

/** undefined for a list that says more than a mode does. */
export function modeOf(list: Buffer): number | undefined {
  if (list.length !== ACL_HEADER_BYTES + 3 * ACL_ENTRY_BYTES || list.readUInt32LE(0) !== ACL_VERSION) return undefined
  let mode = 0
  const tags = new Set<number>()
  for (let offset = ACL_HEADER_BYTES; offset < list.length; offset += ACL_ENTRY_BYTES) {
    const [tag, permissions] = [list.readUInt16LE(offset), list.readUInt16LE(offset + 2)]
    const shift = SHIFTS[tag]
    if (shift === undefined || permissions > 7) return undefined
    mode |= permissions << shift
    tags.add(tag)
  }
  return tags.size === 3 ? mode : undefined
}
