// Which parts of the notification interface this kernel has, asked of the kernel itself.

import {areFilterFlagsKnown, isActionAvailable} from '../../ffi/seccomp.js'
import {
  SECCOMP_FILTER_FLAG_NEW_LISTENER,
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
  SECCOMP_RET_USER_NOTIF,
} from '../../kernel/names/seccomp.js'

export interface NotifierSupport {
  /** SECCOMP_RET_USER_NOTIF and a listener (5.0); nothing works without. */
  readonly notify: boolean
  /** A call that was received is interrupted by SIGKILL alone (5.19). */
  readonly waitKillable: boolean
}

/**
 * Answers of seccomp(2) itself: a filter that is not there is EFAULT where all flags are known, EINVAL where not.
 * SYNC_WAKE_UP and ADDFD_FLAG_SEND can only be tried on a listener; the engine does so and falls back by itself.
 */
export function probeNotifier(): NotifierSupport {
  return {
    notify: isActionAvailable(SECCOMP_RET_USER_NOTIF) && areFilterFlagsKnown(SECCOMP_FILTER_FLAG_NEW_LISTENER),
    waitKillable: areFilterFlagsKnown(SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV),
  }
}
