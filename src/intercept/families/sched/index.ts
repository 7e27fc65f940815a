// sched_setscheduler, sched_setattr, sched_setparam: policies and priorities of the container's own threads.

import {readFileSync} from 'node:fs'

import {seteuid} from '../../../ffi/credentials.js'
import {SystemError} from '../../../ffi/errors.js'
import {geteuid} from '../../../ffi/libc.js'
import {getScheduler, setAttributes, setParameter, setScheduler} from '../../../ffi/scheduler.js'
import {CAP, capabilityMask} from '../../../kernel/capabilities.js'
import {PAGE_BYTES} from '../../../kernel/constants.js'
import {ERRNO} from '../../../kernel/errno.js'
import {showFlags, showNumber} from '../../../kernel/names/flag-table.js'
import {
  SCHEDULING_POLICIES,
  SCHED_DEADLINE,
  SCHED_FIFO,
  SCHED_FLAGS,
  SCHED_FLAG_KEEP_PARAMS,
  SCHED_FLAG_KEEP_POLICY,
  SCHED_OTHER,
  SCHED_RESET_ON_FORK,
  SCHED_RR,
} from '../../../kernel/names/sched.js'
import {int32, uint32} from '../../caller/argument-kinds.js'
import {giveBack} from '../../caller/give-back.js'
import {members} from '../../caller/struct-layout.js'
import {isUnread, orUnread} from '../../caller/tolerant.js'
import type {Unread} from '../../caller/tolerant.js'
import type {ContainerDescription} from '../../container.js'
import {defineFamily, defineSyscall} from '../../family.js'
import type {Argument, ArgumentIndex, Caller, Json, Performed, StructLayout} from '../../family.js'
import {checkPriorities} from './check.js'
import {OWN_ERROR, decideSched, isUnprivileged} from './decide.js'
import {schedPolicy} from './policy.js'
import type {SchedPolicy} from './policy.js'
import {withTarget} from './target-task.js'
import type {TargetTask} from './target-task.js'

/** SCHED_ATTR_SIZE_VER0, and the size that this file knows (SCHED_ATTR_SIZE_VER1, Linux 5.3). */
const ATTR_BYTES_MIN = 48
const ATTR_BYTES = 56
const NICE = capabilityMask(CAP.SYS_NICE)
const NICE_AS_OTHER = capabilityMask(CAP.SYS_NICE, CAP.SETUID)
const STRATEGY = 'kernel'

export interface SchedState {
  readonly container: ContainerDescription
}

export const schedFamily = defineFamily<SchedPolicy, SchedState>({
  name: 'sched',
  summary: 'scheduling: sched_setscheduler, sched_setattr, sched_setparam',
  strategies: [
    {
      name: STRATEGY,
      summary: "the kernel's own call, for a thread that was found in the pid namespace of the caller",
      needs: 'CAP_SYS_NICE in the initial user namespace, or else RLIMIT_RTPRIO and RLIMIT_NICE of the thread',
    },
  ],
  policy: schedPolicy,
  check: checkPriorities,
  calls: () => [schedSetscheduler, schedSetparam, schedSetattr],
  prepare: () => ({realtime: true}),
  start: (_policy, container) => ({container}),
})

const schedSetscheduler = defineSyscall({
  name: 'sched_setscheduler',
  arguments: {pid: int32(0), policy: schedulingPolicy(1), param: schedParam(2)},
  worksNatively: ({policy, param}) =>
    isUnread(param) || isUnprivileged({policy: plainPolicy(policy), priority: param.priority}),
  decide({pid, policy, param}, facts, allowed: SchedPolicy) {
    if (isUnread(param)) return OWN_ERROR
    return decideSched({pid, policy: plainPolicy(policy), priority: param.priority}, facts, allowed)
  },
  perform: ({pid, policy, param}, caller, {container}: SchedState) =>
    apply(pid, caller, container, ({tid}) => setScheduler(tid, policy, readable(param).priority)),
  attemptWithoutPermission,
})

const schedSetparam = defineSyscall({
  name: 'sched_setparam',
  arguments: {pid: int32(0), param: schedParam(1)},
  worksNatively: ({param}) => isUnread(param) || isUnprivileged({policy: undefined, priority: param.priority}),
  decide: ({pid, param}, facts, allowed: SchedPolicy) =>
    isUnread(param) ? OWN_ERROR : decideSched({pid, policy: undefined, priority: param.priority}, facts, allowed),
  perform: ({pid, param}, caller, {container}: SchedState) =>
    apply(pid, caller, container, ({tid}) => setParameter(tid, readable(param).priority)),
  attemptWithoutPermission,
})

const schedSetattr = defineSyscall({
  name: 'sched_setattr',
  arguments: {pid: int32(0), attr: schedAttr(1), flags: uint32(2)},
  worksNatively: ({attr}) => isUnread(attr) || isUnprivileged(attributesOf(attr)),
  decide({pid, attr, flags}, facts, allowed: SchedPolicy) {
    if (isUnread(attr) || flags !== 0) return OWN_ERROR
    const {policy, flags: own, priority} = attributesOf(attr)
    const kept = (own & SCHED_FLAG_KEEP_POLICY) !== 0 && policy >= 0
    // With both flags kept nothing but clamps is set; a priority that is passed all the same is not looked at.
    const keepsParameters = (own & SCHED_FLAG_KEEP_PARAMS) !== 0
    return decideSched(
      {pid, policy: kept ? undefined : policy, priority: kept && keepsParameters ? 0 : priority},
      facts,
      allowed,
    )
  },
  perform: ({pid, attr}, caller, {container}: SchedState) =>
    apply(pid, caller, container, ({tid}) => setAttributes(tid, readable(attr))),
  attemptWithoutPermission,
})

function plainPolicy(policy: number): number {
  return policy < 0 ? policy : policy & ~SCHED_RESET_ON_FORK
}

/** find_get_task() comes before user_check_sched_setscheduler() in kernel/sched/syscalls.c. */
function attemptWithoutPermission({pid}: {readonly pid: number}, caller: Caller, {container}: SchedState): void {
  withTarget(pid, caller, container, () => undefined)
}

/** The task is looked up, changed and looked at again: nothing but its life holds its number. */
function apply(
  pid: number,
  caller: Caller,
  container: ContainerDescription,
  set: (target: TargetTask) => unknown,
): Performed {
  try {
    return withTarget(pid, caller, container, (target) => {
      asAllowed(target, caller, container, () => set(target))
      if (!target.isStill()) {
        asAllowed(target, caller, container, () => forget(target.tid))
        throw new SystemError('find_get_task', ERRNO.ESRCH)
      }
      return {kind: 'done', value: 0, strategy: STRATEGY}
    })
  } catch (error) {
    if (!(error instanceof SystemError)) throw error
    const reason = error.errno === ERRNO.EPERM ? whyNot(container) : undefined
    return {kind: 'failed', errno: error.errno, strategy: STRATEGY, ...(reason === undefined ? {} : {reason})}
  }
}

/**
 * The task ended while it was changed. Should another have got its number within these microseconds, it goes back to
 * what processes begin with; one that is not real-time can't have been meant.
 */
function forget(tid: number): void {
  try {
    const policy = getScheduler(tid) & ~SCHED_RESET_ON_FORK
    const isRealTime = [SCHED_FIFO, SCHED_RR, SCHED_DEADLINE].includes(policy)
    if (isRealTime) setScheduler(tid, SCHED_OTHER, 0)
  } catch (error) {
    if (!(error instanceof SystemError)) throw error
  }
}

/** With CAP_SYS_NICE; a rootless one counts for nothing, and the thread's own user may do what its limits say. */
function asAllowed(target: TargetTask, caller: Caller, {rootless}: ContainerDescription, set: () => unknown): void {
  if (!rootless) caller.act(NICE, undefined, set)
  else caller.act(NICE_AS_OTHER, undefined, () => asUser(target.uid, set))
}

function asUser(uid: number, action: () => unknown): void {
  const own = geteuid()
  if (uid !== own) seteuid(uid)
  try {
    action()
  } finally {
    if (uid !== own) giveBack('the user of a thread', () => seteuid(own))
  }
}

/** What the kernel does not say with EPERM. */
function whyNot({cgroup, rootless}: ContainerDescription): string | undefined {
  if (cgroup?.version === 1 && cgroup.cpu !== undefined && realTimeRuntime(cgroup.cpu.own) === 0) {
    return 'the cpu cgroup of the container has no real-time bandwidth (cpu.rt_runtime_us is 0)'
  }
  if (rootless) return 'without root, priorities reach as far as RLIMIT_RTPRIO and RLIMIT_NICE of the thread'
  return undefined
}

function realTimeRuntime(directory: string): number | undefined {
  try {
    return Number(readFileSync(`${directory}/cpu.rt_runtime_us`, 'latin1'))
  } catch {
    // No real-time group scheduling in this kernel.
    return undefined
  }
}

function schedulingPolicy(index: ArgumentIndex): Argument<number> {
  return {index, read: (registers) => registers.int32(index), show: showPolicy, json: (value) => value}
}

function showPolicy(value: number): string {
  const plain = value & ~SCHED_RESET_ON_FORK
  const name = showNumber(plain, SCHEDULING_POLICIES)
  return value >= 0 && (value & SCHED_RESET_ON_FORK) !== 0 ? `${name}|SCHED_RESET_ON_FORK` : name
}

const SCHED_PARAM: StructLayout = {bytes: 4, members: {sched_priority: {offset: 0, type: 'u32'}}}

/** linux/sched/types.h */
const SCHED_ATTR: StructLayout = {
  bytes: ATTR_BYTES,
  members: {
    ...members('u32', 'size sched_policy', 0, 4),
    sched_flags: {offset: 8, type: 'u64'},
    ...members('u32', 'sched_nice sched_priority', 16, 4),
    ...members('u64', 'sched_runtime sched_deadline sched_period', 24, 8),
    ...members('u32', 'sched_util_min sched_util_max', 48, 4),
  },
}

/** struct sched_param: one int. A null pointer is EINVAL. */
function schedParam(index: ArgumentIndex): Argument<Unread | {readonly priority: number}> {
  return {
    index,
    read: (registers, memory) =>
      orUnread(() => {
        const address = registers.address(index)
        if (address === 0) throw new SystemError('copy_from_user', ERRNO.EINVAL)
        return {priority: memory.bytes(address, 4).readInt32LE(0)}
      }),
    show: (value) => (isUnread(value) ? '...' : `[${value.priority}]`),
    json: (value) => (isUnread(value) ? null : {sched_priority: value.priority}),
    layout: () => SCHED_PARAM,
  }
}

/**
 * struct sched_attr as sched_copy_attr() in kernel/sched/syscalls.c takes it, at most the part that is known here: a
 * longer one must end in zeros. Nothing is read twice.
 */
function schedAttr(index: ArgumentIndex): Argument<Buffer | Unread> {
  return {
    index,
    read: (registers, memory) =>
      orUnread(() => {
        const address = registers.address(index)
        if (address === 0) throw new SystemError('copy_from_user', ERRNO.EINVAL)
        const size = memory.bytes(address, 4).readUInt32LE(0) || ATTR_BYTES_MIN
        if (size < ATTR_BYTES_MIN || size > PAGE_BYTES) throw new SystemError('copy_from_user', ERRNO.E2BIG)
        const rest = memory.bytes(address + 4, size - 4)
        if (rest.subarray(ATTR_BYTES - 4).some((byte) => byte !== 0)) {
          throw new SystemError('copy_from_user', ERRNO.E2BIG)
        }
        const used = Math.min(size, ATTR_BYTES)
        const bytes = Buffer.alloc(used)
        bytes.writeUInt32LE(used, 0)
        rest.copy(bytes, 4, 0, used - 4)
        return bytes
      }),
    show: (value) => (isUnread(value) ? '...' : showAttributes(value)),
    json: (value) => (isUnread(value) ? null : jsonAttributes(value)),
    layout: () => SCHED_ATTR,
  }
}

function attributesOf(bytes: Buffer) {
  return {
    policy: bytes.readInt32LE(4),
    // No flag lies in the upper half, and the kernel refuses bits that it does not know.
    flags: bytes.readUInt32LE(8),
    nice: bytes.readInt32LE(16),
    priority: bytes.readUInt32LE(20),
    runtime: bytes.readBigUInt64LE(24),
    deadline: bytes.readBigUInt64LE(32),
    period: bytes.readBigUInt64LE(40),
  }
}

function showAttributes(bytes: Buffer): string {
  const {policy, flags, nice, priority, runtime, deadline, period} = attributesOf(bytes)
  const times =
    policy === SCHED_DEADLINE ? `, sched_runtime=${runtime}, sched_deadline=${deadline}, sched_period=${period}` : ''
  const own = `sched_policy=${showPolicy(policy)}, sched_flags=${showFlags(flags, SCHED_FLAGS)}`
  return `{size=${bytes.length}, ${own}, sched_nice=${nice}, sched_priority=${priority}${times}}`
}

function jsonAttributes(bytes: Buffer): Json {
  const {policy, flags, nice, priority, runtime, deadline, period} = attributesOf(bytes)
  const times = {sched_runtime: Number(runtime), sched_deadline: Number(deadline), sched_period: Number(period)}
  return {
    size: bytes.length,
    sched_policy: policy,
    sched_flags: flags,
    sched_nice: nice,
    sched_priority: priority,
    ...times,
  }
}

function readable<T>(value: T | Unread): T {
  if (isUnread(value)) throw new Error('decided without its arguments')
  return value
}
