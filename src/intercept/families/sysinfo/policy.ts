// --sysinfo: the container's figures instead of the host's.

import {INTERCEPTION, isOn} from '../../../flag.js'
import type {SwitchFlag} from '../../../flag.js'
import type {PolicyDeclaration} from '../../policy.js'

export type SysinfoPolicy = Readonly<Record<string, never>>

const sysinfo: SwitchFlag = {
  ...INTERCEPTION,
  name: 'sysinfo',
  kind: 'switch',
  summary: "answer sysinfo with the container's memory, swap, uptime, load and processes",
  description:
    "sysinfo(2) answers with the container's own limits and use instead of the host's. Programs that read /proc/meminfo " +
    'instead, as free(1) does, see those where lxcfs runs on the host.',
}

export const sysinfoPolicy: PolicyDeclaration<SysinfoPolicy> = {
  flags: [sysinfo],
  lxd: {switch: {key: 'security.syscalls.intercept.sysinfo', flag: sysinfo}},
  fromFlags: (values) => (isOn(values, sysinfo) ? {} : undefined),
  beyond: () => [],
}
