// Numbers that a value in strace's notation stands for.

import {encodeDevice} from '../kernel/device-numbers.js'
import {constantValue} from '../kernel/names/index.js'
import type {Value} from './strace-notation.js'

/** A number that the notation tells, or undefined. */
export function numberOf(value: Value): bigint | undefined {
  switch (value.kind) {
    case 'number':
      return value.value
    case 'name':
      return constantValue(value.name)
    case 'not': {
      const operand = numberOf(value.operand)
      return operand === undefined ? undefined : ~operand
    }
    case 'binary':
      return binary(value)
    case 'call':
      return value.name === 'makedev' ? makedev(value.arguments) : undefined
    default:
      return undefined
  }
}

function binary({operator, left, right}: Extract<Value, {kind: 'binary'}>): bigint | undefined {
  const [a, b] = [numberOf(left), numberOf(right)]
  if (a === undefined || b === undefined) return undefined
  switch (operator) {
    case '|':
      return a | b
    case '<<':
      return b >= 0n && b < 64n ? a << b : undefined
    case '*':
      return a * b
    case '+':
      return a + b
    case '-':
      return a - b
  }
}

function makedev(parts: readonly Value[]): bigint | undefined {
  const [major, minor] = parts.map(numberOf)
  if (parts.length !== 2 || major === undefined || minor === undefined) return undefined
  return BigInt(encodeDevice({major: Number(major & 0xfffn), minor: Number(minor & 0xf_ffffn)}))
}

/** The first name in the value that has no known number. */
export function unknownName(value: Value): string | undefined {
  switch (value.kind) {
    case 'name':
      return constantValue(value.name) === undefined ? value.name : undefined
    case 'not':
      return unknownName(value.operand)
    case 'binary':
      return unknownName(value.left) ?? unknownName(value.right)
    default:
      return undefined
  }
}
