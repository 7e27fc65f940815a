// --setxattr: which trusted attributes the container may set and see.

import {UsageError} from '../../../errors.js'
import {INTERCEPTION, invalidValue, isOn, listOf} from '../../../flag.js'
import type {ListFlag, SwitchFlag} from '../../../flag.js'
import {XATTR_NAME_MAX} from '../../../kernel/constants.js'
import {missing} from '../../policy.js'
import type {PolicyDeclaration} from '../../policy.js'
import {RECORDED_PREFIX} from '../../records.js'

export interface SetxattrPolicy {
  /** Full attribute names, all below `trusted.`. */
  readonly names: readonly string[]
}

/** What marks a directory that hides the layers below it. */
const OPAQUE = 'trusted.overlay.opaque'

/** Less the prefix. */
const NAME_BYTES_MAX = XATTR_NAME_MAX - RECORDED_PREFIX.length

const setxattr: SwitchFlag = {
  ...INTERCEPTION,
  name: 'setxattr',
  kind: 'switch',
  summary: 'let the container set, read, list and remove trusted.overlay.opaque',
  description:
    'setxattr(2), getxattr(2), listxattr(2), removexattr(2) and their variants serve the trusted attributes that are ' +
    'allowed, on files that belong to the container: trusted.overlay.opaque and what --setxattr-allow adds. Without ' +
    'root they are kept as user.interceptor.trusted.*, and shown and exported as trusted.*.',
}

export const allow: ListFlag<string> = {
  ...INTERCEPTION,
  name: 'setxattr-allow',
  kind: 'list',
  placeholder: 'NAME',
  parse: parseAttributeName,
  summary: 'allow one more trusted attribute, as trusted.overlay.redirect',
  description:
    'One more attribute that the container may set, by its whole name, which begins with trusted. May be repeated. ' +
    'Turns --setxattr on. Attributes of security.* cannot be allowed: capabilities and labels in them would be ' +
    "those of the host; a container's own file capabilities work without any flag.",
}

export const setxattrPolicy: PolicyDeclaration<SetxattrPolicy> = {
  flags: [setxattr, allow],
  lxd: {switch: {key: 'security.syscalls.intercept.setxattr', flag: setxattr}},
  fromFlags(values) {
    const allowed = listOf(values, allow)
    if (!isOn(values, setxattr) && allowed.length === 0) return undefined
    return {names: [...new Set([OPAQUE, ...allowed])]}
  },
  beyond: (asked, given) => missing(asked.names, given.names).map((name) => `the attribute ${name}`),
}

/** A whole name below trusted.; what is in security.* is the host kernel's to believe, and never set for a container. */
function parseAttributeName(name: string, text: string): string {
  if (text.startsWith('security.')) {
    throw new UsageError(`--${name}: ${JSON.stringify(text)} cannot be allowed`, {
      hints: [
        'the host itself would act on it: file capabilities and labels of security.* count for every process that uses the file',
        'a container sets the file capabilities of its own user namespace without any flag (setcap, security.capability)',
      ],
    })
  }
  if (!/^trusted\.[!-)+-~]+$/.test(text) || text.length > NAME_BYTES_MAX) {
    throw invalidValue(
      name,
      text,
      'the name of a trusted attribute',
      'write the whole name, as trusted.overlay.redirect',
    )
  }
  return text
}
