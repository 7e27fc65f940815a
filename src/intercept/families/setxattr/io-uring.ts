// io_uring_setup: refused while names of attributes are decided on, since a ring sets attributes by no system call.

import {ERRNO} from '../../../kernel/errno.js'
import {pointer, uint32} from '../../caller/argument-kinds.js'
import {defineSyscall} from '../../family.js'

/**
 * IORING_OP_SETXATTR (Linux 5.19) goes past the filter, which sees calls alone. Programs fall back where a kernel has no
 * io_uring, which is what ENOSYS says; Docker's profile refuses it too.
 */
export const ioUringSetup = defineSyscall({
  name: 'io_uring_setup',
  arguments: {entries: uint32(0), params: pointer(1)},
  decide: () => ({
    kind: 'refuse',
    errno: ERRNO.ENOSYS,
    reason: 'a ring could set attributes that nobody decided on',
  }),
  perform: () => {
    throw new Error('it is never performed')
  },
})
