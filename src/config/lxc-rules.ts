// Lines of LXC's seccomp policy, as security.syscalls.deny holds them: `name [action] [index,value,op,mask]...`.

import type {ArgumentIndex, Comparison} from '../intercept/family.js'
import type {Action} from '../intercept/filter/bpf.js'
import {rulesFor} from '../intercept/filter/filter.js'
import type {Rule} from '../intercept/filter/filter.js'
import {ERRNO, MAX_ERRNO} from '../kernel/errno.js'
import {MNT_FORCE} from '../kernel/names/mount.js'

const OPERATORS: Readonly<Record<string, Comparison['operator'] | 'masked'>> = {
  SCMP_CMP_NE: 'ne',
  SCMP_CMP_LT: 'lt',
  SCMP_CMP_LE: 'le',
  SCMP_CMP_EQ: 'eq',
  SCMP_CMP_GE: 'ge',
  SCMP_CMP_GT: 'gt',
  SCMP_CMP_MASKED_EQ: 'masked',
  '!=': 'ne',
  '<': 'lt',
  '<=': 'le',
  '==': 'eq',
  '>=': 'ge',
  '>': 'gt',
  '&=': 'masked',
}

/** LXC denies a forced unmount under this name. */
const FORCED_UNMOUNT = 'reject_force_umount'

/** One line as a rule for each ABI. As with LXC, [arch] sections do not restrict what follows them. */
export function parseDenyRules(lines: readonly string[], wrong: (cause: string) => Error): readonly Rule[] {
  return lines
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#') && !/^\[[a-z0-9_]+\]$/i.test(line))
    .flatMap((line) => parseRule(line, wrong))
}

function parseRule(line: string, wrong: (cause: string) => Error): readonly Rule[] {
  const [name = ''] = line.split(/[\s[]/, 1)
  if (name === FORCED_UNMOUNT) {
    const forced: Comparison = {argument: 1, width: 32, mask: BigInt(MNT_FORCE), operator: 'ne', value: 0n}
    return rulesFor('umount2', {kind: 'errno', errno: ERRNO.EACCES}, [[forced]])
  }
  const bracket = line.indexOf('[')
  const action = parseAction((bracket === -1 ? line : line.slice(0, bracket)).slice(name.length).trim())
  if (action === undefined)
    throw wrong(`${JSON.stringify(line)}: what is done must be kill, trap, allow or errno NUMBER`)
  const comparisons = bracket === -1 ? [] : parseComparisons(line.slice(bracket))
  if (comparisons === undefined) throw wrong(`${JSON.stringify(line)}: conditions are as [1,8,SCMP_CMP_MASKED_EQ,8]`)
  const rules = rulesFor(name, action, comparisons.length === 0 ? undefined : [comparisons])
  // LXC passes over names that it does not know; then what was to be denied is not.
  if (rules.length === 0) throw wrong(`${JSON.stringify(name)} is no system call of this machine`)
  return rules
}

function parseAction(text: string): Action | undefined {
  if (text === '' || text === 'kill') return {kind: 'kill-process'}
  if (text === 'trap' || text === 'allow') return {kind: text}
  const errno = /^errno\s+(\d{1,4})$/.exec(text)?.[1]
  return errno === undefined || Number(errno) > MAX_ERRNO ? undefined : {kind: 'errno', errno: Number(errno)}
}

function parseComparisons(text: string): readonly Comparison[] | undefined {
  const comparisons: Comparison[] = []
  for (const part of text.split(']').slice(0, -1)) {
    const match =
      /^\s*,?\s*\[\s*([0-5])\s*,\s*(\d+|0x[\da-f]+)\s*,\s*([A-Z_]+|[!<>=&]+)\s*(?:,\s*(\d+|0x[\da-f]+)\s*)?$/i.exec(
        part,
      )
    const operator = OPERATORS[match?.[3] ?? '']
    if (match === null || operator === undefined) return undefined
    const base = {argument: Number(match[1]) as ArgumentIndex, width: 64, value: BigInt(match[2] ?? 0)} as const
    if (operator !== 'masked') comparisons.push({...base, operator})
    else if (match[4] === undefined) return undefined
    else comparisons.push({...base, operator: 'eq', mask: BigInt(match[4])})
  }
  return text.trimEnd().endsWith(']') && comparisons.length > 0 ? comparisons : undefined
}
