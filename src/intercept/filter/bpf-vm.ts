// Checks and runs classic BPF as the kernel does for seccomp(2), for explain and for tests.

import {SECCOMP_RET_ACTION_FULL} from '../../kernel/names/seccomp.js'
import {DATA, MAX_INSTRUCTIONS} from './bpf.js'
import type {Instruction} from './bpf.js'

/** struct seccomp_data. */
export interface SeccompData {
  readonly number: number
  readonly arch: number
  readonly instructionPointer: bigint
  readonly arguments: readonly bigint[]
}

/** The kernel would refuse the program: EINVAL from seccomp(2). */
export class InvalidProgram extends Error {
  constructor(index: number, reason: string) {
    super(`instruction ${index}: ${reason}`)
    this.name = 'InvalidProgram'
  }
}

const MEMORY_WORDS = 16 // BPF_MEMWORDS

// Classes, sizes, modes, operations and sources of linux/bpf_common.h.
const LD = 0x00
const LDX = 0x01
const ST = 0x02
const STX = 0x03
const ALU = 0x04
const JMP = 0x05
const RET = 0x06
const MISC = 0x07
const X = 0x08
const OPERATIONS = {ADD: 0x00, SUB: 0x10, MUL: 0x20, DIV: 0x30, OR: 0x40, AND: 0x50, LSH: 0x60, RSH: 0x70, XOR: 0xa0}
const NEG = 0x80
const JUMPS = {JEQ: 0x10, JGT: 0x20, JGE: 0x30, JSET: 0x40}
const IMM = 0x00
const ABS = 0x20
const MEM = 0x60
const LEN = 0x80
const RET_A = 0x10
const TXA = 0x80

/** seccomp_check_filter: the whitelist. Neither MOD nor packet access is on it. */
const ALLOWED: ReadonlySet<number> = new Set([
  ...[LD | ABS, LD | LEN, LDX | LEN, LD | IMM, LDX | IMM, LD | MEM, LDX | MEM, ST, STX],
  ...Object.values(OPERATIONS).flatMap((operation) => [ALU | operation, ALU | operation | X]),
  ...Object.values(JUMPS).flatMap((jump) => [JMP | jump, JMP | jump | X]),
  ...[ALU | NEG, JMP, RET, RET | RET_A, MISC, MISC | TXA],
])

/** bpf_check_classic, check_load_and_stores and seccomp_check_filter. Throws InvalidProgram. */
export function checkProgram(program: readonly Instruction[]): void {
  const length = program.length
  if (length === 0 || length > MAX_INSTRUCTIONS) throw new InvalidProgram(0, `${length} instructions`)
  for (const [index, instruction] of program.entries()) checkInstruction(instruction, index, length)
  if (((program[length - 1]?.code ?? 0) & 0x07) !== RET) throw new InvalidProgram(length - 1, 'does not return')
  checkMemory(program)
}

function checkInstruction({code, jt, jf, k}: Instruction, index: number, length: number): void {
  if (!ALLOWED.has(code)) throw new InvalidProgram(index, `code 0x${code.toString(16)} is not allowed`)
  switch (code) {
    case LD | ABS:
      if (k >= DATA.size || (k & 3) !== 0) throw new InvalidProgram(index, `load from offset ${k}`)
      return
    case ALU | OPERATIONS.DIV:
      if (k === 0) throw new InvalidProgram(index, 'division by zero')
      return
    case ALU | OPERATIONS.LSH:
    case ALU | OPERATIONS.RSH:
      if (k >= 32) throw new InvalidProgram(index, `shift by ${k}`)
      return
    case LD | MEM:
    case LDX | MEM:
    case ST:
    case STX:
      if (k >= MEMORY_WORDS) throw new InvalidProgram(index, `memory word ${k}`)
      return
    case JMP:
      if (k >= length - index - 1) throw new InvalidProgram(index, 'jump beyond the end')
      return
  }
  if ((code & 0x07) === JMP && (index + jt + 1 >= length || index + jf + 1 >= length)) {
    throw new InvalidProgram(index, 'jump beyond the end')
  }
}

/** A memory word may only be loaded where every path has stored it. Jumps only go forward, so one pass does. */
function checkMemory(program: readonly Instruction[]): void {
  const masks = new Array<number>(program.length).fill(0xffff)
  const meet = (target: number, valid: number): void => {
    masks[target] = (masks[target] ?? 0) & valid
  }
  let valid = 0
  for (const [index, {code, jt, jf, k}] of program.entries()) {
    valid &= masks[index] ?? 0
    if (code === ST || code === STX) valid |= 1 << k
    else if (code === (LD | MEM) || code === (LDX | MEM)) {
      if ((valid & (1 << k)) === 0) throw new InvalidProgram(index, `memory word ${k} was never stored`)
    } else if (code === JMP) {
      meet(index + 1 + k, valid)
      valid = 0xffff
    } else if ((code & 0x07) === JMP) {
      meet(index + 1 + jt, valid)
      meet(index + 1 + jf, valid)
      valid = 0xffff
    }
  }
}

export interface Run {
  /** The raw return value. */
  readonly value: number
  /** Indexes of the instructions that were executed, in order. */
  readonly path: readonly number[]
}

function word(data: SeccompData, offset: number): number {
  if (offset === DATA.number) return data.number >>> 0
  if (offset === DATA.arch) return data.arch >>> 0
  const register =
    offset < DATA.arguments ? data.instructionPointer : (data.arguments[(offset - DATA.arguments) >> 3] ?? 0n)
  return Number(BigInt.asUintN(32, (offset & 4) === 0 ? register : register >> 32n))
}

function alu(operation: number, a: number, operand: number): number | undefined {
  switch (operation) {
    case OPERATIONS.ADD:
      return (a + operand) >>> 0
    case OPERATIONS.SUB:
      return (a - operand) >>> 0
    case OPERATIONS.MUL:
      return Math.imul(a, operand) >>> 0
    case OPERATIONS.DIV:
      return operand === 0 ? undefined : Math.floor(a / operand)
    case OPERATIONS.OR:
      return (a | operand) >>> 0
    case OPERATIONS.AND:
      return (a & operand) >>> 0
    case OPERATIONS.LSH:
      return (a << (operand & 31)) >>> 0
    case OPERATIONS.RSH:
      return a >>> (operand & 31)
    case OPERATIONS.XOR:
      return (a ^ operand) >>> 0
    default:
      return -a >>> 0 // NEG
  }
}

function holds(jump: number, a: number, operand: number): boolean {
  switch (jump) {
    case JUMPS.JEQ:
      return a === operand
    case JUMPS.JGT:
      return a > operand
    case JUMPS.JGE:
      return a >= operand
    default:
      return (a & operand) !== 0 // JSET
  }
}

/** Runs a program that checkProgram() passed. */
export function runProgram(program: readonly Instruction[], data: SeccompData): Run {
  const memory = new Uint32Array(MEMORY_WORDS)
  const path: number[] = []
  let a = 0
  let x = 0
  for (let index = 0; ; index++) {
    const instruction = program[index]
    if (instruction === undefined) throw new InvalidProgram(index, 'run beyond the end')
    path.push(index)
    const {code, jt, jf, k} = instruction
    const operand = (code & X) === 0 ? k : x
    switch (code & 0x07) {
      case LD:
        a = load(code, k, data, memory)
        break
      case LDX:
        x = load(code, k, data, memory)
        break
      case ST:
        memory[k] = a
        break
      case STX:
        memory[k] = x
        break
      case ALU: {
        const result = alu(code & 0xf0, a, operand)
        if (result === undefined) return {value: 0, path} // division by X = 0 ends the program with 0
        a = result
        break
      }
      case JMP:
        index += code === JMP ? k : holds(code & 0xf0, a, operand) ? jt : jf
        break
      case RET:
        return {value: code === (RET | RET_A) ? a : k, path}
      case MISC:
        if ((code & TXA) === 0) x = a
        else a = x
    }
  }
}

function load(code: number, k: number, data: SeccompData, memory: Uint32Array): number {
  switch (code & 0xe0) {
    case ABS:
      return word(data, k)
    case MEM:
      return memory[k] ?? 0
    case LEN:
      return DATA.size
    default:
      return k // IMM
  }
}

export interface StackedRun extends Run {
  /** Index, in order of installation, of the filter whose answer counts. */
  readonly filter: number
}

/** Several filters, in order of installation: the strictest action wins, of equals the last installed one (seccomp_run_filters). */
export function runFilters(programs: readonly (readonly Instruction[])[], data: SeccompData): StackedRun | undefined {
  let strictest: StackedRun | undefined
  for (let filter = programs.length - 1; filter >= 0; filter--) {
    const run = runProgram(programs[filter] ?? [], data)
    // Signed, so that KILL_PROCESS comes before KILL_THREAD.
    if (
      strictest === undefined ||
      (run.value & SECCOMP_RET_ACTION_FULL) < (strictest.value & SECCOMP_RET_ACTION_FULL)
    ) {
      strictest = {...run, filter}
    }
  }
  return strictest
}
