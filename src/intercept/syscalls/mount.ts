// mount: file systems that the policy names, made by the host's kernel or by a FUSE program for the container.

import {flags, path} from '../arguments.js'
import {named} from '../make-node.js'
import {mountData, mountString} from '../mount/arguments.js'
import {EmulatedMounts, emulatedMountsMemory} from '../mount/emulated.js'
import {MOUNT_CONDITION, MOUNT_FLAGS, MS_REMOUNT, plainFlags} from '../mount/flags.js'
import {performNewMount, performRemount} from '../mount/kernel-mount.js'
import type {MountState} from '../mount/kernel-mount.js'
import {MountSources} from '../mount/sources.js'
import {Workshop} from '../mount/workshop.js'
import {OwnCapabilities} from '../own-capabilities.js'
import type {MountPolicy} from '../policy.js'
import {defineSyscall} from '../syscall.js'
import type {Caller, Family, FamilyOptions, Performed} from '../syscall.js'
import {decideMount} from './mount-decide.js'
import type {MountValues} from './mount-decide.js'

export const mountFamily: Family<MountPolicy, MountState> = {
  name: 'mount',
  summary: 'file systems: mount',
  flag: '--mount',
  lxdKeys: [
    'security.syscalls.intercept.mount',
    'security.syscalls.intercept.mount.allowed',
    'security.syscalls.intercept.mount.fuse',
    'security.syscalls.intercept.mount.shift',
  ],
  strategies: [
    {
      name: 'kernel',
      summary: 'mounted by the kernel with the rights of the host, and handed over with nosuid and nodev for good',
      needs: 'CAP_SYS_ADMIN in the initial user namespace, and a type that --mount-allowed names (Linux 5.12)',
    },
  ],
  select: (policy) => policy.mount,
  calls: (_policy, options) => [mountCall(options)],
  start(policy, container) {
    const own = new OwnCapabilities()
    return {
      own,
      workshop: new Workshop(own),
      sources: new MountSources(own, policy.sources),
      emulated: new EmulatedMounts(container.mounts ?? emulatedMountsMemory()),
      policy,
      container,
    }
  },
}

function mountCall(options: FamilyOptions) {
  return defineSyscall({
    name: 'mount',
    arguments: {
      source: mountString(0),
      target: path(1),
      type: mountString(2),
      flags: flags(3, MOUNT_FLAGS),
      data: mountData(4),
    },
    condition: MOUNT_CONDITION,
    lane: 'slow',
    decide: (values, facts, policy: MountPolicy) => decideMount(values, facts, policy, options),
    perform: performMount,
  })
}

function performMount(values: MountValues, caller: Caller, state: MountState): Performed {
  if ((plainFlags(values.flags) & MS_REMOUNT) !== 0) return named('kernel', () => performRemount(values, caller, state))
  const {type} = values
  if (type === null) throw new Error('a mount without a type is never performed')
  return named('kernel', () => performNewMount(values, type, caller, state))
}
