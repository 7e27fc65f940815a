// Whether real-time priorities can be given here, and up to which.

import {readFileSync} from 'node:fs'
import {userInfo} from 'node:os'

import {cannotServe, serves} from '../../finding.js'
import type {CheckCircumstances, Service} from '../../finding.js'
import type {SchedPolicy} from './policy.js'

export function checkPriorities(_policy: SchedPolicy | undefined, {rootless}: CheckCircumstances): Service {
  if (!rootless) return serves()
  const limit = Number(/^Max realtime priority\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1] ?? 0)
  if (limit > 0) return serves(undefined, `up to the limit of this user, ${limit}`)
  const {username} = userInfo()
  return cannotServe(
    'this user may have no real-time priority (RLIMIT_RTPRIO is 0)',
    `an administrator can run: echo '${username} - rtprio 50' >> /etc/security/limits.conf`,
  )
}
