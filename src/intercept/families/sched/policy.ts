// --sched-setscheduler: which scheduling policies and priorities the container may give its processes.

import {INTERCEPTION, invalidValue, isOn, valueOf} from '../../../flag.js'
import type {SwitchFlag, ValueFlag} from '../../../flag.js'
import type {PolicyDeclaration} from '../../policy.js'

export interface SchedPolicy {
  /** Highest real-time priority that is granted, 1 to 99. */
  readonly maxPriority: number
  /** SCHED_DEADLINE, which no priority can be a ceiling for. */
  readonly deadline?: boolean
}

const MAX_PRIORITY = 50

const setscheduler: SwitchFlag = {
  ...INTERCEPTION,
  name: 'sched-setscheduler',
  kind: 'switch',
  summary: 'let the container give its processes real-time policies and priorities',
  description:
    'sched_setscheduler(2), sched_setattr(2) and sched_setparam(2) change processes of the container, for callers that ' +
    'hold CAP_SYS_NICE in it, up to the priority of --sched-max-priority. Without root the limits RLIMIT_RTPRIO and ' +
    'RLIMIT_NICE of the process hold too.',
}

export const maxPriority: ValueFlag<number> = {
  ...INTERCEPTION,
  name: 'sched-max-priority',
  kind: 'value',
  placeholder: 'N',
  parse: parsePriority,
  isNumber: true,
  summary: 'highest real-time priority, 1 to 99 (default 50)',
  description:
    'The highest real-time priority that the container may give. Real-time processes go before all others of the ' +
    'machine, interceptor too, as far as sched_rt_runtime_us lets them. Turns --sched-setscheduler on.',
}

export const deadline: SwitchFlag = {
  ...INTERCEPTION,
  name: 'sched-deadline',
  kind: 'switch',
  summary: 'allow SCHED_DEADLINE too',
  description:
    'SCHED_DEADLINE may be asked for too: it goes before every other process of the machine, as much as the kernel ' +
    'admits. Turns --sched-setscheduler on.',
}

export const schedPolicy: PolicyDeclaration<SchedPolicy> = {
  flags: [setscheduler, maxPriority, deadline],
  lxd: {switch: {key: 'security.syscalls.intercept.sched_setscheduler', flag: setscheduler}},
  fromFlags(values) {
    const highest = valueOf(values, maxPriority)
    const isDeadline = isOn(values, deadline)
    if (!isOn(values, setscheduler) && !isDeadline && highest === undefined) return undefined
    return {maxPriority: highest ?? MAX_PRIORITY, ...(isDeadline && {deadline: true})}
  },
  beyond: (asked, given) => [
    ...(asked.maxPriority > given.maxPriority ? [`priorities above ${given.maxPriority} (--${maxPriority.name})`] : []),
    ...(asked.deadline === true && given.deadline !== true ? ['SCHED_DEADLINE'] : []),
  ],
}

function parsePriority(name: string, text: string): number {
  const priority = /^\d{1,2}$/.test(text) ? Number(text) : 0
  if (priority < 1) throw invalidValue(name, text, 'a real-time priority', 'give a number from 1 to 99')
  return priority
}
