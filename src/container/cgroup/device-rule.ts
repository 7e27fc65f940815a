// Which devices a container may open, and the cgroup-device program that says so to the kernel.

import type {DeviceRule} from '../../intercept/preparation.js'

/**
 * What every container may open: what is bound in its /dev, and terminals of its own devpts. A pts node that does not
 * lie in a devpts gives EIO (ptmx_open and pts_unix98_lookup), so 136:* opens nobody else's. 5:1 is not here: it would
 * be the host's console. `m` is not here: the supervisor makes nodes, from outside this rule.
 */
export const BASE_DEVICES: readonly DeviceRule[] = [
  {type: 'c', major: 1, minor: 3, access: 'rw'}, // null
  {type: 'c', major: 1, minor: 5, access: 'rw'}, // zero
  {type: 'c', major: 1, minor: 7, access: 'rw'}, // full
  {type: 'c', major: 1, minor: 8, access: 'rw'}, // random
  {type: 'c', major: 1, minor: 9, access: 'rw'}, // urandom
  {type: 'c', major: 5, minor: 0, access: 'rw'}, // tty
  {type: 'c', major: 5, minor: 2, access: 'rw'}, // ptmx
  {type: 'c', major: 136, minor: '*', access: 'rw'}, // pts
]

/** As devices.allow takes it: `c 1:3 rw`. */
export function showDeviceRule({type, major, minor, access}: DeviceRule): string {
  return `${type} ${String(major)}:${String(minor)} ${access}`
}

// linux/bpf.h: struct bpf_cgroup_dev_ctx {u32 access_type; u32 major; u32 minor;}, access_type = access << 16 | type.
const CONTEXT = {accessType: 0, major: 4, minor: 8} as const
const DEVICE_TYPE = {b: 1, c: 2} as const
const ACCESS_BITS: Readonly<Record<string, number>> = {m: 1, r: 2, w: 4}
const ACCESS_ALL = 7

// linux/bpf_common.h and linux/bpf.h; only what the program below needs.
const BPF_LDX_MEM_W = 0x61
const BPF_MOV32_REG = 0xbc
const BPF_MOV64_IMM = 0xb7
const BPF_AND32_IMM = 0x54
const BPF_RSH32_IMM = 0x74
const BPF_JNE_IMM = 0x55
const BPF_EXIT = 0x95
const R0 = 0
const R1 = 1
const [ACCESS, TYPE, MAJOR, MINOR, SCRATCH] = [2, 3, 4, 5, 6] as const

/** The kernel's limit is 4096 instructions without CAP_BPF; a rule takes at most 7. */
const RULES_MAX = 500

/** Instructions of a program that allows exactly `rules` and returns 0, EPERM for the caller, for everything else. */
export function deviceProgram(rules: readonly DeviceRule[]): Buffer {
  if (rules.length > RULES_MAX) throw new RangeError(`${rules.length} device rules are more than ${RULES_MAX}`)
  return Buffer.concat([
    instruction(BPF_LDX_MEM_W, TYPE, R1, CONTEXT.accessType, 0),
    instruction(BPF_LDX_MEM_W, MAJOR, R1, CONTEXT.major, 0),
    instruction(BPF_LDX_MEM_W, MINOR, R1, CONTEXT.minor, 0),
    instruction(BPF_MOV32_REG, ACCESS, TYPE, 0, 0),
    instruction(BPF_RSH32_IMM, ACCESS, 0, 0, 16),
    instruction(BPF_AND32_IMM, TYPE, 0, 0, 0xffff),
    ...rules.map(allowRule),
    instruction(BPF_MOV64_IMM, R0, 0, 0, 0),
    instruction(BPF_EXIT, 0, 0, 0, 0),
  ])
}

/** Returns 1 where the rule holds, and goes on behind itself where not. */
function allowRule({type, major, minor, access}: DeviceRule): Buffer {
  const denied = ACCESS_ALL & ~accessBits(access)
  const steps: Buffer[] = []
  /** Jumps to the end of this rule when the register differs; offsets are set below, when the length is known. */
  const unless = (register: number, value: number) => steps.push(instruction(BPF_JNE_IMM, register, 0, 0, value))
  if (type !== 'a') unless(TYPE, DEVICE_TYPE[type])
  if (denied !== 0) {
    steps.push(instruction(BPF_MOV32_REG, SCRATCH, ACCESS, 0, 0), instruction(BPF_AND32_IMM, SCRATCH, 0, 0, denied))
    unless(SCRATCH, 0)
  }
  if (major !== '*') unless(MAJOR, major)
  if (minor !== '*') unless(MINOR, minor)
  steps.push(instruction(BPF_MOV64_IMM, R0, 0, 0, 1), instruction(BPF_EXIT, 0, 0, 0, 0))
  for (const [index, step] of steps.entries()) {
    if (step[0] === BPF_JNE_IMM) step.writeInt16LE(steps.length - index - 1, 2)
  }
  return Buffer.concat(steps)
}

function accessBits(access: string): number {
  let bits = 0
  for (const letter of access) {
    const bit = ACCESS_BITS[letter]
    if (bit === undefined) throw new RangeError(`${JSON.stringify(access)} is no device access`)
    bits |= bit
  }
  return bits
}

/** struct bpf_insn: opcode, two registers in one byte, 16-bit offset, 32-bit immediate. */
function instruction(opcode: number, destination: number, source: number, offset: number, immediate: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes[0] = opcode
  bytes[1] = destination | (source << 4)
  bytes.writeInt16LE(offset, 2)
  bytes.writeInt32LE(immediate | 0, 4)
  return bytes
}
