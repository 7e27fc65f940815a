// Which strategy would keep trusted attributes here: tried on a file without a name in the current directory.

import {closeSync, openSync} from 'node:fs'

import {SystemError} from '../../../ffi/errors.js'
import {fsetxattr} from '../../../ffi/libc.js'
import {O_TMPFILE, O_WRONLY} from '../../../kernel/constants.js'
import {cannotServe, serves} from '../../finding.js'
import type {CheckCircumstances, Service} from '../../finding.js'
import {RECORDED_PREFIX} from '../../records.js'
import type {SetxattrPolicy} from './policy.js'

export function checkAttributes(_policy: SetxattrPolicy | undefined, {rootless}: CheckCircumstances): Service {
  const strategy = rootless ? 'user' : 'trusted'
  let fd: number
  try {
    fd = openSync('.', O_TMPFILE | O_WRONLY, 0o600)
  } catch {
    return {strategy, state: 'limited', text: 'not tried out in this directory', advice: []}
  }
  try {
    fsetxattr(fd, rootless ? `${RECORDED_PREFIX}check` : 'trusted.overlay.check', Buffer.from('y'), 1, 0)
    return serves(strategy)
  } catch (error) {
    if (!(error instanceof SystemError)) throw error
    return cannotServe(
      `the file system of this directory takes no ${strategy}.* attributes: ${error.message}`,
      'work on ext4, xfs, btrfs or a tmpfs of Linux 6.6',
    )
  } finally {
    closeSync(fd)
  }
}
