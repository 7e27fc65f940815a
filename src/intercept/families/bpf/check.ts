// Whether device programs can be loaded and attached here: one is loaded.

import {closeSync} from 'node:fs'

import {withCauses} from '../../../causes.js'
import {loadDeviceProgram} from '../../../ffi/bpf.js'
import type {FamilyOptions} from '../../family.js'
import {ONLY_ROOT, cannotServe, serves} from '../../finding.js'
import type {CheckCircumstances, Service, Unsupported} from '../../finding.js'
import type {BpfPolicy} from './policy.js'

/** r0 = 0; exit: BPF_ALU64 | BPF_MOV | BPF_K and BPF_JMP | BPF_EXIT of linux/bpf_common.h. */
const DENY_ALL = Buffer.from('b7000000000000009500000000000000', 'hex')

export function unsupportedPrograms({devices}: BpfPolicy, {rootless}: FamilyOptions): readonly Unsupported[] {
  if (!devices || !rootless) return []
  return [{flags: '--bpf-devices', text: 'only root of the host can load device programs', advice: [ONLY_ROOT]}]
}

export function checkPrograms(_policy: BpfPolicy | undefined, circumstances: CheckCircumstances): Service {
  const [denied] = unsupportedPrograms({devices: true}, circumstances)
  if (denied !== undefined) return cannotServe(denied.text, ...denied.advice)
  if (!circumstances.hasUnifiedHierarchy)
    return cannotServe('no cgroup hierarchy of version 2 is mounted', 'mount -t cgroup2 none /sys/fs/cgroup/unified')
  try {
    closeSync(loadDeviceProgram(DENY_ALL, 'check'))
  } catch (error) {
    return cannotServe(`no device program can be loaded: ${withCauses(error)}`, 'use a kernel with CONFIG_CGROUP_BPF')
  }
  return serves()
}
