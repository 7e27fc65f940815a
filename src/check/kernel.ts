// What the kernel offers for interception, asked of it by doing.

import {SystemError, errnoText} from '../ffi/errors.js'
import {close} from '../ffi/libc.js'
import {Notifier, installEmptyListener, setSyncWakeUp} from '../ffi/seccomp.js'
import {probeNotifier} from '../intercept/filter/probe.js'
import {good, limited, missing} from '../intercept/finding.js'
import type {Finding} from '../intercept/finding.js'
import {ERRNO} from '../kernel/errno.js'

/**
 * Puts a filter that allows everything on this thread, so it comes last: an ordinary user can't start newuidmap(1)
 * afterwards (no_new_privs).
 */
export function checkNotifier(): readonly Finding[] {
  const {notify, waitKillable} = probeNotifier()
  const name = 'notifications'
  if (!notify)
    return [missing(name, 'seccomp(2) has no user notification here', 'use Linux 5.9 or later, outside of gVisor')]
  let listener: number
  try {
    listener = installEmptyListener()
  } catch (error) {
    if (!(error instanceof SystemError)) throw error
    return [
      error.errno === ERRNO.EBUSY
        ? missing(
            name,
            'somebody around this process intercepts its system calls already, and a process has one listener',
            'start interceptor outside of that container or supervisor',
          )
        : missing(name, `no listener can be had: ${errnoText(error.errno)}`, 'start it outside of any container'),
    ]
  }
  try {
    const flags = {
      WAIT_KILLABLE_RECV: waitKillable,
      SYNC_WAKE_UP: setSyncWakeUp(listener),
      // No notification has the id 0: ENOENT where the flag is known, EINVAL where not.
      ADDFD_FLAG_SEND: new Notifier(listener).answerDescriptor(listener, true) === -ERRNO.ENOENT,
    }
    const absent = Object.entries(flags).flatMap(([flag, isThere]) => (isThere ? [] : [flag]))
    if (absent.length === 0) return [good(name, `with ${Object.keys(flags).join(', ')}; no listener around us`)]
    return [limited(name, `without ${absent.join(', ')}: slower, or calls may be repeated after a signal`)]
  } finally {
    close(listener)
  }
}
