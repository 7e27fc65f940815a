// Classic BPF as seccomp(2) takes it: instructions, their bytes, and what a filter may answer.

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

/** linux/seccomp.h: SECCOMP_RET_*. */
const ACTION_VALUES: Readonly<Record<Action['kind'], number>> = {
  'kill-process': 0x8000_0000,
  'kill-thread': 0,
  trap: 0x0003_0000,
  errno: 0x0005_0000,
  notify: 0x7fc0_0000,
  trace: 0x7ff0_0000,
  log: 0x7ffc_0000,
  allow: 0x7fff_0000,
}

/** SECCOMP_RET_ACTION_FULL. */
export const ACTION_MASK = 0xffff_0000
/** The kernel answers no errno above MAX_ERRNO (__seccomp_filter). */
const MAX_ERRNO = 4095

export function actionValue(action: Action): number {
  return action.kind === 'errno' ? ACTION_VALUES.errno + action.errno : ACTION_VALUES[action.kind]
}

/** What the kernel does on a value that a filter returned: unknown actions kill the process. */
export function actionOf(value: number): Action {
  const full = (value & ACTION_MASK) >>> 0
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
