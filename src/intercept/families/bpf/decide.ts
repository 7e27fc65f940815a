// Which bpf(2) commands are performed, and which instructions a program may have: the pure half of index.ts.

import {CAP, capabilityMask} from '../../../kernel/capabilities.js'
import {ERRNO} from '../../../kernel/errno.js'
import {
  BPF_CGROUP_DEVICE,
  BPF_F_AFTER,
  BPF_F_ALLOW_MULTI,
  BPF_F_ALLOW_OVERRIDE,
  BPF_F_BEFORE,
  BPF_F_PREORDER,
  BPF_F_REPLACE,
  BPF_F_TOKEN_FD,
  BPF_INSTRUCTION_BYTES,
  BPF_LINK_CREATE,
  BPF_PROG_ATTACH,
  BPF_PROG_DETACH,
  BPF_PROG_LOAD,
  BPF_PROG_QUERY,
  BPF_PROG_TYPE_CGROUP_DEVICE,
} from '../../../kernel/names/bpf.js'
import type {CallerFacts, Condition, Verdict} from '../../family.js'
import {allowedBy} from '../../hint.js'
import {LAYOUTS} from './attr.js'
import type {BpfAttr} from './attr.js'
import {devices} from './policy.js'
import type {BpfPolicy} from './policy.js'

const CAP_NET_ADMIN = capabilityMask(CAP.NET_ADMIN)
const CAP_SYS_ADMIN = capabilityMask(CAP.SYS_ADMIN)
const CAP_BPF = capabilityMask(CAP.BPF)

/** What the kernel may come to have; there are 58 at the time of writing. */
const ATTACH_TYPE_MAX = 255

export const BPF_F_RELATIVE = BPF_F_BEFORE | BPF_F_AFTER
/** What newer ones would mean, and whose descriptors, is not known. */
const ATTACH_FLAGS = BPF_F_ALLOW_OVERRIDE | BPF_F_ALLOW_MULTI | BPF_F_REPLACE | BPF_F_RELATIVE | BPF_F_PREORDER

/** The five commands alone; maps, BTF and everything else are not intercepted. `cmd` is an int. */
export const BPF_CONDITION: Condition = [...LAYOUTS.keys()].map((command) => [
  {argument: 0, width: 32, operator: 'eq', value: BigInt(command)},
])

export interface BpfValues {
  readonly cmd: number
  readonly attr: BpfAttr | null
}

/**
 * Attaching is never handed back to the kernel. Since 5.8 it asks for no capability, only for the two descriptors: memory
 * that is read again by the kernel may by then name a program that somebody gave to the container, and the host's own
 * cgroup, which anybody can open. Loading can be handed back, since the kernel asks for CAP_BPF there.
 */
export function decideBpf({cmd, attr}: BpfValues, facts: CallerFacts, policy: BpfPolicy): Verdict {
  if (attr === null) return refuse(ERRNO.E2BIG, 'the attribute is larger than a page')
  const isAttaching = cmd === BPF_PROG_ATTACH || cmd === BPF_LINK_CREATE
  if (!isOfDevices(cmd, attr)) {
    // Without --bpf-devices the container holds no program of ours.
    if (!isAttaching || !policy.devices) {
      return {kind: 'continue', reason: 'the kernel decides about other types of programs'}
    }
    if (member(attr, 'attach_type') > ATTACH_TYPE_MAX) return refuse(ERRNO.EINVAL, 'no such attach type')
    return {kind: 'perform', reason: 'only device programs can be attached'}
  }
  if (cmd === BPF_PROG_LOAD && (member(attr, 'prog_flags') & BPF_F_TOKEN_FD) !== 0) {
    return {kind: 'continue', reason: 'the kernel decides about BPF tokens'}
  }
  if (!facts.inContainerUserNamespace) {
    if (isAttaching) return refuse(ERRNO.EPERM, 'the caller is in a user namespace of its own')
    return {kind: 'continue', reason: 'the caller is in a user namespace of its own'}
  }
  const lacking = lackingCapability(cmd, facts.effective)
  if (lacking !== undefined) return refuse(ERRNO.EPERM, `the caller lacks ${lacking}`)
  if (!policy.devices) {
    return {...refuse(ERRNO.EPERM, 'device programs are not allowlisted'), hint: allowedBy(devices)}
  }
  return checkMembers(cmd, attr) ?? {kind: 'perform', reason: 'device programs are allowlisted'}
}

function isOfDevices(cmd: number, attr: BpfAttr): boolean {
  return cmd === BPF_PROG_LOAD
    ? member(attr, 'prog_type') === BPF_PROG_TYPE_CGROUP_DEVICE
    : member(attr, 'attach_type') === BPF_CGROUP_DEVICE
}

/** CAP_SYS_ADMIN stands for both (bpf_token_capable() in kernel/bpf/token.c). */
function lackingCapability(cmd: number, effective: bigint): string | undefined {
  if ((effective & CAP_SYS_ADMIN) !== 0n) return undefined
  if ((effective & CAP_NET_ADMIN) === 0n) return 'CAP_NET_ADMIN'
  return cmd === BPF_PROG_LOAD && (effective & CAP_BPF) === 0n ? 'CAP_BPF' : undefined
}

/** Members that would name something of the supervisor's, or mean something that is not known here. */
function checkMembers(cmd: number, attr: BpfAttr): Verdict | undefined {
  if (attr.rest === 'beyond') return refuse(ERRNO.E2BIG, 'the attribute has members that are not known here')
  if (attr.rest === 'inside') return refuse(ERRNO.EINVAL, 'the attribute has members that this command does not have')
  switch (cmd) {
    case BPF_PROG_LOAD:
      return checkLoad(attr)
    case BPF_PROG_QUERY:
      return checkZero(attr, ['link_ids', 'link_attach_flags'])
    case BPF_PROG_DETACH:
    case BPF_PROG_ATTACH:
      return checkFlags(member(attr, 'attach_flags'))
    default:
      return checkFlags(member(attr, 'flags'))
  }
}

function checkLoad(attr: BpfAttr): Verdict | undefined {
  const count = member(attr, 'insn_cnt')
  // BPF_COMPLEXITY_LIMIT_INSNS
  if (count === 0 || count > 1_000_000) return refuse(ERRNO.E2BIG, `a program of ${count} instructions can't be`)
  return checkZero(attr, [
    ...['prog_ifindex', 'prog_btf_fd', 'func_info', 'func_info_cnt', 'line_info', 'line_info_cnt', 'attach_btf_id'],
    ...['attach_prog_fd', 'core_relos', 'core_relo_cnt', 'fd_array', 'prog_token_fd', 'fd_array_cnt', 'signature'],
  ])
}

function checkZero(attr: BpfAttr, names: readonly string[]): Verdict | undefined {
  const set = names.find((name) => member(attr, name) !== 0)
  return set === undefined ? undefined : refuse(ERRNO.EINVAL, `a device program with ${set} is not supported`)
}

function checkFlags(flags: number): Verdict | undefined {
  return (flags & ~ATTACH_FLAGS) === 0 ? undefined : refuse(ERRNO.EINVAL, 'an attach flag is not supported')
}

export function member({members}: BpfAttr, name: string): number {
  return members[name] ?? 0
}

const refuse = (errno: number, reason: string) => ({kind: 'refuse', errno, reason}) as const

// include/uapi/linux/bpf.h, bpf_common.h
const BPF_LD_IMM_DW = 0x18
const BPF_CALL = 0x80
const BPF_JMP = 5
const BPF_JMP32 = 6
const BPF_FUNC_set_retval = 187
const CALL_LOCAL = 1

/**
 * Why a program may not be loaded. It is loaded with CAP_BPF and CAP_NET_ADMIN, never with CAP_PERFMON, so the verifier
 * keeps it from the kernel's memory; what remains is what it names by number, which would be the supervisor's, and
 * bpf_set_retval(), with which a program takes back the refusal of those before it: the device rule of the container
 * is such a program where the host has no devices controller (bpf_prog_run_array_cg() in kernel/bpf/cgroup.c).
 */
export function forbiddenInstruction(instructions: Buffer): string | undefined {
  for (let offset = 0; offset + BPF_INSTRUCTION_BYTES <= instructions.length; offset += BPF_INSTRUCTION_BYTES) {
    const opcode = instructions[offset]!
    const source = instructions[offset + 1]! >> 4
    if (opcode === BPF_LD_IMM_DW && source !== 0) return 'it refers to a map or to an object of the kernel'
    // Of all forms the verifier takes one; the others are not left for it to find.
    if ((opcode & 0xf0) !== BPF_CALL || (opcode & 7) < BPF_JMP || (opcode & 7) > BPF_JMP32) continue
    if (source === CALL_LOCAL) continue
    if (source !== 0) return 'it calls a function of the kernel that is no helper'
    if (instructions.readInt32LE(offset + 4) === BPF_FUNC_set_retval) {
      return 'bpf_set_retval() could take back what another program refuses'
    }
  }
  return undefined
}
