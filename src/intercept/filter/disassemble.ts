// Listings of a classic BPF program: annotated text, and the forms that other tools take.

import {errnoName} from '../../kernel/errno.js'
import {DATA, INSTRUCTION_SIZE, OP, actionOf, actionValue, encode} from './bpf.js'
import type {Action, Instruction} from './bpf.js'

const hex = (value: number, digits = 0): string => `0x${value.toString(16).padStart(digits, '0')}`

export function showAction(action: Action): string {
  if (action.kind !== 'errno') return action.kind
  const name = errnoName(action.errno)
  return `errno ${action.errno}${name === `E${action.errno}` ? '' : ` (${name})`}`
}

const JUMP_SIGNS: Readonly<Record<number, string>> = {
  [OP.jumpEqual]: '==',
  [OP.jumpGreater]: '>',
  [OP.jumpGreaterEqual]: '>=',
  [OP.jumpSet]: '&',
}

function field(offset: number): string {
  if (offset === DATA.number) return 'nr'
  if (offset === DATA.arch) return 'arch'
  const halfName = (offset & 4) === 0 ? 'lo' : 'hi'
  if (offset < DATA.arguments) return `ip.${halfName}`
  return `args[${(offset - DATA.arguments) >> 3}].${halfName}`
}

/** Absolute targets, as `goto 12`, because relative ones are hard to follow. */
function meaning({code, jt, jf, k}: Instruction, index: number): string {
  switch (code) {
    case OP.loadWord:
      return `A = ${field(k)}`
    case OP.and:
      return `A &= ${hex(k)}`
    case OP.jump:
      return `goto ${index + 1 + k}`
    case OP.return: {
      const action = actionOf(k)
      return actionValue(action) === k ? `return ${showAction(action)}` : `return ${showAction(action)} (${hex(k)})`
    }
  }
  const sign = JUMP_SIGNS[code]
  if (sign === undefined) return `code ${hex(code)} jt ${jt} jf ${jf} k ${hex(k)}`
  return `if (A ${sign} ${hex(k)}) goto ${index + 1 + jt} else goto ${index + 1 + jf}`
}

/** One line for each instruction: index, the four fields as the kernel has them, what they do, and why. */
export function disassemble(instructions: readonly Instruction[]): string[] {
  const digits = Math.max(4, String(instructions.length).length)
  return instructions.map((instruction, index) => {
    const {code, jt, jf, k, comment} = instruction
    const fields = `${hex(code, 2)} ${hex(jt, 2)} ${hex(jf, 2)} ${hex(k, 8)}`
    const text = `${String(index).padStart(digits, '0')}  ${fields}  ${meaning(instruction, index)}`
    return comment === undefined ? text : `${text.padEnd(84)}  ; ${comment}`
  })
}

/** Sixteen hexadecimal digits for each struct sock_filter. */
export function hexListing(instructions: readonly Instruction[]): string[] {
  const digits = encode(instructions).toString('hex')
  return digits.match(new RegExp(`.{${INSTRUCTION_SIZE * 2}}`, 'g')) ?? []
}

/** An initialiser for `struct sock_filter filter[]`. */
export function cListing(instructions: readonly Instruction[], name: string): string[] {
  return [
    `static const struct sock_filter ${name}[] = {`,
    ...instructions.map(({code, jt, jf, k, comment}) => {
      const text = `  {${hex(code, 2)}, ${jt}, ${jf}, ${hex(k, 8)}},`
      return comment === undefined ? text : `${text.padEnd(34)}/* ${comment} */`
    }),
    '};',
  ]
}
