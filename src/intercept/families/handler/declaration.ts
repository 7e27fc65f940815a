// Checks what a user's handler declares and gives it the shape of plain data. Pure.

import {UsageError} from '../../../errors.js'
import {ABIS, MACHINE_ABIS, X32_SYSCALL_BIT} from '../../../kernel/abi.js'
import {syscallName, syscallNames, syscallNumber} from '../../../kernel/calls/index.js'
import {nearest} from '../../../nearest.js'
import type {HandlerArgument, HandlerComparison, HandlerDeclaration} from './policy.js'

type Members = Readonly<Record<string, unknown>>

export const HANDLER_KINDS = {
  int: 'a number of 32 bits with a sign',
  uint: 'a number of 32 bits without',
  size: 'a size_t',
  pointer: 'an address that the handler reads or writes itself',
  fd: 'a descriptor, or AT_FDCWD',
  mode: 'a mode_t',
  path: 'a path of at most 4096 bytes',
  string: 'a string of at most `limit` bytes with its NUL',
  bytes: '`limit` bytes at most, as many as argument number `length` tells',
} as const

const DEFAULT_TIME_LIMIT_MS = 2000
const TIME_LIMIT_MAX_MS = 600_000
const LIMIT_MAX = 16 * 1024 * 1024
const MEMBERS = ['name', 'number', 'arguments', 'condition', 'timeLimitMs', 'handle']

export function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function parseDeclaration(shown: string, path: string, index: number, given: Members): HandlerDeclaration {
  const wrong = (cause: string, hint?: string): UsageError =>
    new UsageError(`cannot use handler ${shown}: ${cause}`, {hints: hint === undefined ? [] : [hint]})
  const unknown = Object.keys(given).find((key) => !MEMBERS.includes(key))
  if (unknown !== undefined) {
    const meant = nearest(unknown, MEMBERS)
    throw wrong(`unknown member ${JSON.stringify(unknown)}`, meant === undefined ? undefined : `write ${meant}`)
  }
  const {name, number, timeLimitMs = DEFAULT_TIME_LIMIT_MS, handle} = given
  if (typeof name !== 'string' || !/^[a-z_][a-z0-9_]{0,63}$/.test(name))
    throw wrong(`name must be the name of a call, and is ${JSON.stringify(name)}`)
  if (typeof handle !== 'function') throw wrong(`${name} has no function handle`)
  if (!isWithin(timeLimitMs, 1, TIME_LIMIT_MAX_MS))
    throw wrong(`timeLimitMs of ${name} must be a number from 1 to ${TIME_LIMIT_MAX_MS}`)
  checkNumber(name, number, wrong)
  const declared = given['arguments'] ?? {}
  if (!isMembers(declared)) throw wrong(`arguments of ${name} must be an object`)
  return {
    file: path,
    index,
    name,
    ...(typeof number === 'number' ? {number} : {}),
    timeLimitMs,
    arguments: Object.entries(declared).map(([key, one]) => parseArgument(key, one, wrong)),
    ...(given['condition'] === undefined ? {} : {condition: parseCondition(given['condition'], wrong)}),
  }
}

type Wrong = (cause: string, hint?: string) => UsageError

/** A number is for what no kernel has; all others go by name, because their numbers differ between ABIs. */
function checkNumber(name: string, number: unknown, wrong: Wrong): void {
  const abis = MACHINE_ABIS
  const isKnown = abis.some((abi) => syscallNumber(abi, name) !== undefined)
  if (number === undefined) {
    if (isKnown) return
    const meant = nearest(name, abis.flatMap(syscallNames))
    const hints = ['give it a number that no kernel uses, such as 5000']
    throw wrong(`no ABI of this machine has a call ${name}`, meant === undefined ? hints[0] : `did you mean ${meant}?`)
  }
  if (isKnown) throw wrong(`${name} is a call of the kernel, which takes no number`)
  if (!isWithin(number, 0, X32_SYSCALL_BIT - 1)) throw wrong(`number of ${name} must be a number of a call`)
  for (const abi of abis) {
    const taken = syscallName(abi, (number | ABIS[abi].numberBit) >>> 0)
    if (taken !== undefined) throw wrong(`number ${number} is ${taken} on ${abi}`, 'take one that no kernel uses')
  }
}

function parseArgument(name: string, given: unknown, wrong: Wrong): HandlerArgument {
  if (!isMembers(given)) throw wrong(`argument ${name} must be an object`)
  const {kind, index, limit, length} = given
  const kinds = Object.keys(HANDLER_KINDS)
  if (typeof kind !== 'string' || !kinds.includes(kind))
    throw wrong(`argument ${name} has no kind`, `kinds are ${kinds.join(', ')}`)
  if (!isIndex(index)) throw wrong(`index of argument ${name} must be a number from 0 to 5`)
  const isBounded = kind === 'string' || kind === 'bytes'
  if (isBounded && !isWithin(limit, 1, LIMIT_MAX))
    throw wrong(`argument ${name} needs a limit from 1 to ${LIMIT_MAX} bytes`)
  if (kind === 'bytes' && !isIndex(length))
    throw wrong(`argument ${name} needs length, the index of the argument that tells its size`)
  return {
    name,
    kind: kind as keyof typeof HANDLER_KINDS,
    index,
    ...(isBounded ? {limit: limit as number} : {}),
    ...(kind === 'bytes' ? {length: length as HandlerArgument['index']} : {}),
  }
}

const OPERATORS = ['eq', 'ge', 'gt', 'le', 'lt', 'ne'] as const

function parseCondition(given: unknown, wrong: Wrong): readonly (readonly HandlerComparison[])[] {
  const groups: readonly unknown[] = Array.isArray(given) ? given : []
  if (groups.length === 0 || !groups.every((group) => Array.isArray(group) && group.length > 0))
    throw wrong('condition must be an array of groups, each an array of comparisons')
  return (groups as readonly (readonly unknown[])[]).map((group) =>
    group.map((one) => {
      const {argument, width = 64, operator, value, mask} = isMembers(one) ? one : {}
      const operators: readonly unknown[] = OPERATORS
      const [number, bits] = [hexOf(value), mask === undefined ? undefined : hexOf(mask)]
      const isGood = isIndex(argument) && (width === 32 || width === 64) && operators.includes(operator)
      if (!isGood || number === undefined || (mask !== undefined && bits === undefined))
        throw wrong('a comparison needs argument, operator and value', `operators are ${OPERATORS.join(', ')}`)
      return {
        argument,
        width,
        operator: operator as HandlerComparison['operator'],
        value: number,
        ...(bits === undefined ? {} : {mask: bits}),
      }
    }),
  )
}

/** 64 bits without a sign, as text: policies are written as JSON too. */
function hexOf(value: unknown): string | undefined {
  const number = typeof value === 'bigint' ? value : Number.isSafeInteger(value) ? BigInt(value as number) : undefined
  return number === undefined ? undefined : `0x${BigInt.asUintN(64, number).toString(16)}`
}

function isIndex(value: unknown): value is HandlerArgument['index'] {
  return isWithin(value, 0, 5)
}

function isWithin(value: unknown, least: number, most: number): value is number {
  return Number.isInteger(value) && (value as number) >= least && (value as number) <= most
}
