// Classic BPF as seccomp(2) takes it: instructions, their bytes, and what a filter may answer.

import {MAX_ERRNO} from '../../kernel/errno.js'
import {
  SECCOMP_RET_ACTION_FULL,
  SECCOMP_RET_ALLOW,
  SECCOMP_RET_ERRNO,
  SECCOMP_RET_KILL_PROCESS,
  SECCOMP_RET_KILL_THREAD,
  SECCOMP_RET_LOG,
  SECCOMP_RET_TRACE,
  SECCOMP_RET_TRAP,
  SECCOMP_RET_USER_NOTIF,
} from '../../kernel/names/seccomp.js'

/** One struct sock_filter, with what the listing says about it. */
export interface Instruction {
  readonly code: number
  readonly jt: number
  readonly jf: number
  readonly k: number
  readonly comment?: string
}

export interface Program {
  readonly instructions: readonly Instruction[]
  /** The struct sock_filter array, little endian. */
  readonly bytes: Buffer
}

/** linux/bpf_common.h; the combinations that our compiler emits. */
export const OP = {
  loadWord: 0x20, // BPF_LD | BPF_W | BPF_ABS
  and: 0x54, // BPF_ALU | BPF_AND | BPF_K
  jump: 0x05, // BPF_JMP | BPF_JA
  jumpEqual: 0x15, // BPF_JMP | BPF_JEQ | BPF_K
  jumpGreater: 0x25, // BPF_JMP | BPF_JGT | BPF_K
  jumpGreaterEqual: 0x35, // BPF_JMP | BPF_JGE | BPF_K
  jumpSet: 0x45, // BPF_JMP | BPF_JSET | BPF_K
  return: 0x06, // BPF_RET | BPF_K
} as const

/** Offsets into struct seccomp_data. */
export const DATA = {number: 0, arch: 4, instructionPointer: 8, arguments: 16, size: 64} as const

/** BPF_MAXINSNS: the longest program that the kernel takes. */
export const MAX_INSTRUCTIONS = 4096
export const INSTRUCTION_SIZE = 8

/** What a filter answers. seccomp(2) lists them by precedence; `notify` wakes the supervisor. */
export type Action =
  | {readonly kind: 'kill-process' | 'kill-thread' | 'trap' | 'notify' | 'trace' | 'log' | 'allow'}
  | {readonly kind: 'errno'; readonly errno: number}

const ACTION_VALUES: Readonly<Record<Action['kind'], number>> = {
  'kill-process': SECCOMP_RET_KILL_PROCESS,
  'kill-thread': SECCOMP_RET_KILL_THREAD,
  trap: SECCOMP_RET_TRAP,
  errno: SECCOMP_RET_ERRNO,
  notify: SECCOMP_RET_USER_NOTIF,
  trace: SECCOMP_RET_TRACE,
  log: SECCOMP_RET_LOG,
  allow: SECCOMP_RET_ALLOW,
}

export function actionValue(action: Action): number {
  return action.kind === 'errno' ? ACTION_VALUES.errno + action.errno : ACTION_VALUES[action.kind]
}

/** What the kernel does on a value that a filter returned: unknown actions kill the process. */
export function actionOf(value: number): Action {
  const full = (value & SECCOMP_RET_ACTION_FULL) >>> 0
  if (full === ACTION_VALUES.errno) return {kind: 'errno', errno: Math.min(value & 0xffff, MAX_ERRNO)}
  for (const kind of ['kill-thread', 'trap', 'notify', 'trace', 'log', 'allow'] as const) {
    if (full === ACTION_VALUES[kind]) return {kind}
  }
  return {kind: 'kill-process'}
}

export function encode(instructions: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(instructions.length * INSTRUCTION_SIZE)
  for (const [index, {code, jt, jf, k}] of instructions.entries()) {
    const at = index * INSTRUCTION_SIZE
    bytes.writeUInt16LE(code, at)
    bytes.writeUInt8(jt, at + 2)
    bytes.writeUInt8(jf, at + 3)
    bytes.writeUInt32LE(k, at + 4)
  }
  return bytes
}

export function decode(bytes: Buffer): Instruction[] {
  if (bytes.length % INSTRUCTION_SIZE !== 0) throw new RangeError('not a whole number of instructions')
  const instructions: Instruction[] = []
  for (let at = 0; at < bytes.length; at += INSTRUCTION_SIZE) {
    instructions.push({
      code: bytes.readUInt16LE(at),
      jt: bytes.readUInt8(at + 2),
      jf: bytes.readUInt8(at + 3),
      k: bytes.readUInt32LE(at + 4),
    })
  }
  return instructions
}
