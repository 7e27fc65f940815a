// The value of any name that strace writes in calls which can be intercepted or denied. The same on every machine.

import {BPF_ATTACH_FLAGS, BPF_NAMES} from './bpf.js'
import {AT_FLAGS, FILE_NAMES, RENAME_FLAGS} from './files.js'
import {TERMINAL_REQUESTS} from './ioctl.js'
import {LOOP_REQUESTS} from './loop.js'
import {MODULE_FLAGS} from './modules.js'
import {
  FSMOUNT_FLAGS,
  FSOPEN_FLAGS,
  FSPICK_FLAGS,
  MOUNT_API_NAMES,
  MOUNT_ATTRIBUTES,
  MOVE_MOUNT_FLAGS,
  OPEN_TREE_FLAGS,
} from './mount-api.js'
import {MOUNT_FLAGS, MOUNT_NAMES, UMOUNT_FLAGS} from './mount.js'
import {SCHED_FLAGS, SCHED_NAMES} from './sched.js'
import {SECCOMP_FLAGS, SECCOMP_OPERATIONS} from './seccomp.js'
import {XATTR_FLAGS} from './setxattr.js'

const TABLES = [
  ...[AT_FLAGS, RENAME_FLAGS, MOUNT_FLAGS, UMOUNT_FLAGS, FSOPEN_FLAGS, FSMOUNT_FLAGS, FSPICK_FLAGS, OPEN_TREE_FLAGS],
  ...[MOUNT_ATTRIBUTES, MOVE_MOUNT_FLAGS, XATTR_FLAGS, SCHED_FLAGS, MODULE_FLAGS, SECCOMP_FLAGS, BPF_ATTACH_FLAGS],
]

const VALUES: ReadonlyMap<string, number> = new Map(
  [
    ...TABLES.map(({names}) => names),
    ...[
      FILE_NAMES,
      MOUNT_NAMES,
      MOUNT_API_NAMES,
      SCHED_NAMES,
      SECCOMP_OPERATIONS,
      BPF_NAMES,
      TERMINAL_REQUESTS,
      LOOP_REQUESTS,
    ],
  ].flatMap(Object.entries<number>),
)

export function constantValue(name: string): bigint | undefined {
  const value = VALUES.get(name)
  return value === undefined ? undefined : BigInt(value)
}
