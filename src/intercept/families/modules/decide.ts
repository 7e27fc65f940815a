// Who may ask for a module of the host, and how: the pure half of index.ts.

import {CAP, capabilityMask} from '../../../kernel/capabilities.js'
import {ERRNO} from '../../../kernel/errno.js'
import {
  MODULE_INIT_COMPRESSED_FILE,
  MODULE_INIT_IGNORE_MODVERSIONS,
  MODULE_INIT_IGNORE_VERMAGIC,
} from '../../../kernel/names/modules.js'
import type {Unread} from '../../caller/tolerant.js'
import type {CallerFacts, Verdict} from '../../family.js'
import {allowedBy} from '../../hint.js'
import {finitModule} from './policy.js'
import type {ModulePolicy} from './policy.js'

const CAP_SYS_MODULE = capabilityMask(CAP.SYS_MODULE)
const FORCE = MODULE_INIT_IGNORE_MODVERSIONS | MODULE_INIT_IGNORE_VERMAGIC

export interface ModuleValues {
  /** Parameters for the module. */
  readonly uargs: Buffer | Unread
  readonly flags?: number
}

/** Everything but the name, which is in the file. */
export function decideModule({flags = 0}: ModuleValues, facts: CallerFacts, _policy: ModulePolicy): Verdict {
  if (!facts.inContainerUserNamespace) {
    return {kind: 'continue', reason: 'the caller is in a user namespace of its own'}
  }
  if ((facts.effective & CAP_SYS_MODULE) === 0n) {
    return {kind: 'refuse', errno: ERRNO.EPERM, reason: 'the caller lacks CAP_SYS_MODULE'}
  }
  if ((flags & ~(FORCE | MODULE_INIT_COMPRESSED_FILE)) !== 0) {
    return {kind: 'refuse', errno: ERRNO.EINVAL, reason: 'finit_module(2) does not know these flags'}
  }
  if ((flags & FORCE) !== 0) return {kind: 'refuse', errno: ERRNO.EPERM, reason: 'no module is loaded by force'}
  return {kind: 'perform', reason: 'the name in the file decides, which must be allowlisted'}
}

/** Once the file has shown its name. */
export function decideName(
  name: string,
  {uargs}: ModuleValues,
  names: ReadonlySet<string>,
  optionsOfHost: () => string,
): Verdict {
  if (!names.has(name)) {
    return {
      kind: 'refuse',
      errno: ERRNO.EPERM,
      reason: `module ${name} is not allowlisted`,
      hint: allowedBy(finitModule, name),
    }
  }
  if ('errno' in uargs) return {kind: 'refuse', errno: ERRNO.EFAULT, reason: "the module's parameters can't be read"}
  // modprobe(8) passes what modprobe.d says; the host's own does the same whoever asks for the module.
  const asked = wordsOf(uargs.toString('latin1'))
  if (asked !== '' && asked !== wordsOf(optionsOfHost())) {
    const reason = 'parameters of modules are for the host to set'
    return {
      kind: 'refuse',
      errno: ERRNO.EPERM,
      reason,
      hint: {advice: `an options line in the host's modprobe.d would set them`},
    }
  }
  return {kind: 'perform', reason: `module ${name} is allowlisted`}
}

function wordsOf(text: string): string {
  return text.trim().replace(/\s+/g, ' ')
}
