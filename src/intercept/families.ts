// Every family that interceptor ships, in the order of their names. A new one is added here and nowhere else.

import type {AnyFamily} from './syscall.js'
import {bpfFamily} from './syscalls/bpf.js'
import {moduleFamily} from './syscalls/finit-module.js'
import {handlerFamily} from './syscalls/handler.js'
import {mknodFamily} from './syscalls/mknod.js'
import {mountFamily} from './syscalls/mount.js'
import {schedFamily} from './syscalls/sched.js'
import {seccompFamily} from './syscalls/seccomp.js'
import {setxattrFamily} from './syscalls/setxattr.js'
import {sysinfoFamily} from './syscalls/sysinfo.js'

export const FAMILIES: readonly AnyFamily[] = [
  bpfFamily,
  moduleFamily,
  handlerFamily,
  mknodFamily,
  mountFamily,
  schedFamily,
  seccompFamily,
  setxattrFamily,
  sysinfoFamily,
]
