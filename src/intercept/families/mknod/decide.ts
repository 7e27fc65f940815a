// Which device nodes may be made: the pure half of index.ts.

import {CAP, capabilityMask} from '../../../kernel/capabilities.js'
import {S_IFBLK, S_IFCHR, S_IFMT} from '../../../kernel/constants.js'
import {decodeDevice, describeDevice, formatDevice, nameDevice, sameDevice} from '../../../kernel/device-numbers.js'
import type {Device} from '../../../kernel/device-numbers.js'
import {ERRNO} from '../../../kernel/errno.js'
import type {ArgumentIndex, CallerFacts, Condition, Verdict} from '../../family.js'
import {allowedBy} from '../../hint.js'
import {allow} from './policy.js'
import type {MknodPolicy} from './policy.js'

const CAP_MKNOD = capabilityMask(CAP.MKNOD)

/**
 * Device nodes alone, without the whiteout (character 0:0), which vfs_mknod() in fs/namei.c lets everyone make. FIFOs,
 * sockets and files are not intercepted either. `mode` is a 16-bit umode_t and `dev` an unsigned int.
 */
export function deviceNodeCondition(mode: ArgumentIndex, dev: ArgumentIndex): Condition {
  const type = {argument: mode, width: 32, mask: BigInt(S_IFMT), operator: 'eq'} as const
  return [
    [{...type, value: BigInt(S_IFBLK)}],
    [
      {...type, value: BigInt(S_IFCHR)},
      {argument: dev, width: 32, operator: 'ne', value: 0n},
    ],
  ]
}

export interface NodeValues {
  /** Type and permissions, 16 bits. */
  readonly mode: number
  /** The 32-bit argument, not yet split. */
  readonly dev: number
}

/** The node that the call asks for. The filter lets nothing through but the two types of device. */
export function requestedDevice({mode, dev}: NodeValues): Device {
  return {type: (mode & S_IFMT) === S_IFBLK ? 'b' : 'c', ...decodeDevice(dev)}
}

export function decideMknod(values: NodeValues, facts: CallerFacts, policy: MknodPolicy): Verdict {
  const type = values.mode & S_IFMT
  if (type !== S_IFBLK && (type !== S_IFCHR || values.dev === 0)) {
    return {kind: 'continue', reason: 'the kernel makes what is not a device node'}
  }
  if (!facts.inContainerUserNamespace) {
    return {kind: 'continue', reason: 'the caller is in a user namespace of its own'}
  }
  if ((facts.effective & CAP_MKNOD) === 0n) {
    return {kind: 'refuse', errno: ERRNO.EPERM, reason: 'the caller lacks CAP_MKNOD'}
  }
  const device = requestedDevice(values)
  if (!policy.devices.some((allowed) => sameDevice(allowed, device))) {
    return {
      kind: 'refuse',
      errno: ERRNO.EPERM,
      reason: `${describeDevice(device)} is not allowlisted`,
      hint: allowedBy(allow, formatDevice(device)),
    }
  }
  return {kind: 'perform', reason: `${nameDevice(device)} is allowlisted`}
}
