// --bpf: whether device programs of cgroups are loaded for the container.

import {INTERCEPTION, isOn} from '../../../flag.js'
import type {SwitchFlag} from '../../../flag.js'
import type {PolicyDeclaration} from '../../policy.js'

export interface BpfPolicy {
  readonly devices: boolean
}

const bpf: SwitchFlag = {
  ...INTERCEPTION,
  name: 'bpf',
  kind: 'switch',
  summary: 'intercept bpf for the programs that --bpf-devices allows',
  description:
    'Intercepts bpf(2) where it loads, attaches or queries programs. This flag alone allows nothing and only reports ' +
    'what is asked for; --bpf-devices allows device programs.',
}

export const devices: SwitchFlag = {
  ...INTERCEPTION,
  name: 'bpf-devices',
  kind: 'switch',
  summary: 'load device programs, and attach them at or below the cgroup of the container',
  description:
    'bpf(2) loads programs of the type BPF_PROG_TYPE_CGROUP_DEVICE and attaches, links, detaches and queries them at ' +
    "cgroups of version 2 that are the container's own or lie below it, which it may make itself: its own cgroup is " +
    'mounted where the host has that hierarchy. Such a program can only take devices away. Maps and ' +
    'bpf_set_retval() are refused in them. Other programs and commands are left to the kernel. Needs root. Turns ' +
    '--bpf on.',
}

export const bpfPolicy: PolicyDeclaration<BpfPolicy> = {
  flags: [bpf, devices],
  lxd: {
    switch: {key: 'security.syscalls.intercept.bpf', flag: bpf},
    others: [{key: 'security.syscalls.intercept.bpf.devices', flag: devices}],
  },
  fromFlags(values) {
    const isAllowed = isOn(values, devices)
    return isOn(values, bpf) || isAllowed ? {devices: isAllowed} : undefined
  },
  beyond: (asked, given) => (asked.devices && !given.devices ? ['device programs'] : []),
}
