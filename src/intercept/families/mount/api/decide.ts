// What the new mount calls may do for a container: the pure half of index.ts.

import {CAP, capabilityMask} from '../../../../kernel/capabilities.js'
import {AT_FDCWD} from '../../../../kernel/constants.js'
import {
  FSCONFIG_CMD_CREATE,
  FSCONFIG_CMD_CREATE_EXCL,
  FSCONFIG_SET_BINARY,
  FSCONFIG_SET_FD,
  FSCONFIG_SET_FLAG,
  FSCONFIG_SET_PATH,
  FSCONFIG_SET_PATH_EMPTY,
  FSCONFIG_SET_STRING,
  FSOPEN_CLOEXEC,
  FSPICK_EMPTY_PATH,
} from '../../../../kernel/names/mount-api.js'
import type {Unread} from '../../../caller/tolerant.js'
import type {CallerFacts, FamilyOptions, Verdict} from '../../../family.js'
import {decideNewMount, fuseHelper} from '../decide.js'
import type {MountPolicy} from '../policy.js'
import type {AttributeChange, ConfigText, ConfigValue} from './context-arguments.js'

const CAP_SYS_ADMIN = capabilityMask(CAP.SYS_ADMIN)
const BINARY_MAX = 1024 * 1024

const KNOWN_PICK_FLAGS = 0xf
/** MOVE_MOUNT__MASK of Linux 6.18. */
const KNOWN_MOVE_FLAGS = 0x377

/** Most of these calls belong to mounts that the kernel makes by itself. */
export const NOT_OURS: Verdict & {readonly kind: 'continue'} = {
  kind: 'continue',
  silent: true,
  reason: 'the kernel does this by itself',
}
const NESTED: Verdict = {kind: 'continue', silent: true, reason: 'the caller is in a user namespace of its own'}
const WRONG: Verdict = {
  kind: 'continue',
  silent: true,
  reason: 'the kernel has an error of its own for these arguments',
}
const OURS: Verdict = {kind: 'perform', reason: 'it is for a mount that the policy allows'}

export function isAble({effective}: CallerFacts): boolean {
  return (effective & CAP_SYS_ADMIN) !== 0n
}

export function decideFsopen(
  values: {readonly type: ConfigText; readonly flags: number},
  facts: CallerFacts,
  policy: MountPolicy,
  options: FamilyOptions,
): Verdict {
  const {type, flags} = values
  if (type === null || 'errno' in type || (flags & ~FSOPEN_CLOEXEC) !== 0) return WRONG
  if (!facts.inContainerUserNamespace) return {kind: 'continue', reason: NESTED.reason}
  const text = type.toString('latin1')
  const verdict = decideNewMount(text, null, isAble(facts), policy, options)
  const helper = fuseHelper(text, policy)
  if (verdict.kind !== 'perform' || helper === undefined) return verdict
  // util-linux and others ask again by mount(2), which names the place that the program needs.
  return {kind: 'perform', reason: `${helper} mounts ${text}, and can be asked by mount(2) alone`}
}

export interface FsconfigValues {
  readonly fd: number
  readonly cmd: number
  readonly key: ConfigText
  readonly value: ConfigValue
  readonly aux: number
}

export function decideFsconfig(values: FsconfigValues, facts: CallerFacts): Verdict {
  if (!isWellFormed(values)) return WRONG
  return facts.inContainerUserNamespace ? OURS : NESTED
}

/** What SYSCALL_DEFINE5(fsconfig) of fs/fsopen.c looks at before anything else. */
function isWellFormed({fd, cmd, key, value, aux}: FsconfigValues): boolean {
  if (fd < 0) return false
  switch (cmd) {
    case FSCONFIG_SET_FLAG:
      return key !== null && value === null && aux === 0
    case FSCONFIG_SET_STRING:
      return key !== null && value !== null && aux === 0
    case FSCONFIG_SET_BINARY:
      return key !== null && value !== null && aux > 0 && aux <= BINARY_MAX
    case FSCONFIG_SET_PATH:
    case FSCONFIG_SET_PATH_EMPTY:
      return key !== null && value !== null && (aux === AT_FDCWD || aux >= 0)
    case FSCONFIG_SET_FD:
      return key !== null && value === null && aux >= 0
    default:
      return (
        cmd >= FSCONFIG_CMD_CREATE && cmd <= FSCONFIG_CMD_CREATE_EXCL && key === null && value === null && aux === 0
      )
  }
}

export function decideFsmount({fd}: {readonly fd: number}, facts: CallerFacts): Verdict {
  if (fd < 0) return WRONG
  return facts.inContainerUserNamespace ? OURS : NESTED
}

export function decideFspick(
  {path, flags}: {readonly path: ConfigText; readonly flags: number},
  facts: CallerFacts,
): Verdict {
  if (path === null || 'errno' in path || (flags & ~KNOWN_PICK_FLAGS) !== 0) return WRONG
  if (path.length === 0 && (flags & FSPICK_EMPTY_PATH) === 0) return WRONG
  if (!isAble(facts)) return {kind: 'continue', silent: true, reason: 'the caller lacks CAP_SYS_ADMIN'}
  return facts.inContainerUserNamespace ? OURS : NESTED
}

/** Descriptors alone: the mounts of the container are its own. */
export function decideMountSetattr(
  {dirfd, path, attr}: {readonly dirfd: number; readonly path: ConfigText; readonly attr: AttributeChange | Unread},
  facts: CallerFacts,
): Verdict {
  if (path === null || 'errno' in path || 'errno' in attr) return WRONG
  if (path.length !== 0 || dirfd < 0) return NOT_OURS
  return decideForMount(facts)
}

export interface MoveMountValues {
  readonly from_dirfd: number
  readonly from_path: ConfigText
  readonly to_dirfd: number
  readonly to_path: ConfigText
  readonly flags: number
}

export function decideMoveMount(values: MoveMountValues, facts: CallerFacts): Verdict {
  const {from_dirfd: from, from_path: path, flags} = values
  if (path === null || 'errno' in path || (flags & ~KNOWN_MOVE_FLAGS) !== 0) return WRONG
  if (path.length !== 0 || from < 0) return NOT_OURS
  return decideForMount(facts)
}

function decideForMount(facts: CallerFacts): Verdict {
  if (!isAble(facts)) return {kind: 'continue', silent: true, reason: 'the caller lacks CAP_SYS_ADMIN'}
  return facts.inContainerUserNamespace ? OURS : NESTED
}
