// Every family that interceptor ships, in the order of their names. A new one is added here and nowhere else.

import type {AnyFamily} from '../family.js'
import {bpfFamily} from './bpf/index.js'
import {handlerFamily} from './handler/index.js'
import {mknodFamily} from './mknod/index.js'
import {moduleFamily} from './modules/index.js'
import {mountFamily} from './mount/index.js'
import {schedFamily} from './sched/index.js'
import {seccompFamily} from './seccomp/index.js'
import {setxattrFamily} from './setxattr/index.js'
import {sysinfoFamily} from './sysinfo/index.js'

export const FAMILIES: readonly AnyFamily[] = [
  bpfFamily,
  handlerFamily,
  mknodFamily,
  moduleFamily,
  mountFamily,
  schedFamily,
  seccompFamily,
  setxattrFamily,
  sysinfoFamily,
]
