// sched_setscheduler(2) and sched_setattr(2): include/uapi/linux/sched.h.

import type {FlagTable} from './flag-table.js'

export const SCHED_OTHER = 0
export const SCHED_FIFO = 1
export const SCHED_RR = 2
export const SCHED_BATCH = 3
export const SCHED_IDLE = 5
export const SCHED_DEADLINE = 6
export const SCHEDULING_POLICIES = {
  SCHED_OTHER,
  SCHED_FIFO,
  SCHED_RR,
  SCHED_BATCH,
  SCHED_ISO: 4,
  SCHED_IDLE,
  SCHED_DEADLINE,
  SCHED_EXT: 7,
}

/** Beside the policy, in the same number. */
export const SCHED_RESET_ON_FORK = 0x4000_0000

export const SCHED_FLAG_KEEP_POLICY = 0x08
export const SCHED_FLAG_KEEP_PARAMS = 0x10
export const SCHED_FLAGS: FlagTable = {
  prefix: 'SCHED_FLAG_',
  names: {
    SCHED_FLAG_RESET_ON_FORK: 0x01,
    SCHED_FLAG_RECLAIM: 0x02,
    SCHED_FLAG_DL_OVERRUN: 0x04,
    SCHED_FLAG_KEEP_POLICY,
    SCHED_FLAG_KEEP_PARAMS,
    SCHED_FLAG_UTIL_CLAMP_MIN: 0x20,
    SCHED_FLAG_UTIL_CLAMP_MAX: 0x40,
  },
}

/** More that strace writes. */
export const SCHED_NAMES: Readonly<Record<string, number>> = {
  ...SCHEDULING_POLICIES,
  SCHED_NORMAL: SCHED_OTHER,
  SCHED_RESET_ON_FORK,
}
