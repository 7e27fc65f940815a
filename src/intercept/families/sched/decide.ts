// Which scheduling policies and priorities the container may give its threads: the pure half of index.ts.

import {CAP, capabilityMask} from '../../../kernel/capabilities.js'
import {ERRNO} from '../../../kernel/errno.js'
import type {CallerFacts, Verdict} from '../../family.js'
import {allowedBy} from '../../hint.js'
import {deadline, maxPriority} from './policy.js'
import type {SchedPolicy} from './policy.js'

const CAP_SYS_NICE = capabilityMask(CAP.SYS_NICE)
const [SCHED_FIFO, SCHED_RR, SCHED_DEADLINE] = [1, 2, 6]
/** MAX_RT_PRIO - 1; what is above is EINVAL, and the kernel's to say. */
const PRIORITY_MAX = 99

export interface SchedRequest {
  readonly pid: number
  /** undefined: the one that the thread has. */
  readonly policy: number | undefined
  readonly priority: number
  /** Undefined: it stays what it is. */
  readonly nice?: number
}

/** Whether a thread without CAP_SYS_NICE may ask for it too, whatever its limits (user_check_sched_setscheduler()). */
export function isUnprivileged({policy, priority, nice = 0}: Omit<SchedRequest, 'pid'>): boolean {
  if (policy === undefined) return priority === 0
  return ![SCHED_FIFO, SCHED_RR, SCHED_DEADLINE].includes(policy) && nice >= 0
}

export function decideSched({pid, policy, priority}: SchedRequest, facts: CallerFacts, allowed: SchedPolicy): Verdict {
  if (pid < 0 || (policy !== undefined && policy < 0)) return OWN_ERROR
  if (!facts.inContainerUserNamespace) {
    return {kind: 'continue', reason: 'the caller is in a user namespace of its own'}
  }
  if ((facts.effective & CAP_SYS_NICE) === 0n) {
    return {kind: 'continue', reason: 'the caller lacks CAP_SYS_NICE: its limits decide'}
  }
  if (policy === SCHED_DEADLINE && allowed.deadline !== true) {
    return {
      kind: 'refuse',
      errno: ERRNO.EPERM,
      reason: 'SCHED_DEADLINE is not allowed',
      hint: allowedBy(deadline),
    }
  }
  const isRealTime = policy === undefined || policy === SCHED_FIFO || policy === SCHED_RR
  if (isRealTime && priority > allowed.maxPriority && priority <= PRIORITY_MAX) {
    return {
      kind: 'refuse',
      errno: ERRNO.EPERM,
      reason: `priority ${priority} is above ${allowed.maxPriority}`,
      hint: allowedBy(maxPriority, String(priority)),
    }
  }
  return {kind: 'perform', reason: isRealTime ? `priority ${priority} is allowed` : 'the policy is allowed'}
}

export const OWN_ERROR: Verdict = {kind: 'continue', reason: 'the kernel has an error of its own for these arguments'}
