// The two filters of a container: what is always denied, and what is handed to the supervisor.

import {MACHINE_ABIS, X32_SYSCALL_BIT} from '../../kernel/abi.js'
import type {Abi} from '../../kernel/abi.js'
import {callNumber} from '../../kernel/calls/index.js'
import {ERRNO} from '../../kernel/errno.js'
import {TIOCLINUX, TIOCSTI} from '../../kernel/names/ioctl.js'
import type {AnyCall, Condition} from '../family.js'
import {compileFilter} from './bpf-compiler.js'
import type {Rule} from './bpf-compiler.js'
import type {Action, Program} from './bpf.js'

export {FilterTooLong, compileFilter, showComparison} from './bpf-compiler.js'
export type {FilterOptions, Rule} from './bpf-compiler.js'

const errno = (value: number): Action => ({kind: 'errno', errno: value})

/** One rule for each ABI that has the call; on every one where its number is given. */
export function rulesFor(
  name: string,
  action: Action,
  condition?: Condition,
  abis: readonly Abi[] = MACHINE_ABIS,
  given?: number,
): Rule[] {
  return abis.flatMap((abi) => {
    const number = callNumber(abi, {name, number: given})
    if (number === undefined) return []
    return [{abi, number, name, action, ...(condition === undefined ? {} : {condition})}]
  })
}

/**
 * Before Linux 5.4 x86_64 and x32 shared one table of calls: the number of one ABI ran with, or without, the bit of
 * the other. What is denied is denied under these numbers too; newer kernels answer them with ENOSYS.
 */
function aliases(rules: readonly Rule[]): Rule[] {
  const taken = new Set(rules.map(({abi, number}) => `${abi} ${number}`))
  return rules.flatMap((rule) => {
    if (rule.abi !== 'x86_64' && rule.abi !== 'x32') return []
    const abi = rule.abi === 'x86_64' ? 'x32' : 'x86_64'
    const number = (rule.number ^ X32_SYSCALL_BIT) >>> 0
    return taken.has(`${abi} ${number}`) ? [] : [{...rule, abi, number}]
  })
}

/** What a configuration file denies: LXD's security.syscalls.deny and deny_default. */
export interface ConfiguredDenial {
  /** Beside ours. */
  readonly rules: readonly Rule[]
  /** Whether the default denylist holds. The terminal's ioctls are denied in any case. */
  readonly defaults: boolean
}

export interface DenyOptions {
  readonly abis?: readonly Abi[]
  /** Calls that the supervisor answers: the default denylist leaves them to it. */
  readonly answered?: readonly string[]
  readonly configured?: ConfiguredDenial
}

/**
 * LXD's default denylist, with what it lacks beside what it has: kexec_file_load; finit_module as Incus. Without LXD's
 * reject_force_umount: can_umount() in fs/namespace.c lets nobody force the mounts of another user namespace.
 */
const DEFAULT_DENIED = [
  'kexec_load',
  'kexec_file_load',
  'open_by_handle_at',
  'delete_module',
  'init_module',
  'finit_module',
] as const

export function denyRules(options: DenyOptions = {}): Rule[] {
  const abis = options.abis ?? MACHINE_ABIS
  // The kernel takes the request as unsigned int: the high half of the register may hold anything (CVE-2019-10063).
  const request = (value: number): Condition => [[{argument: 1, width: 32, operator: 'eq', value: BigInt(value)}]]
  const rules = [
    ...rulesFor('ioctl', errno(ERRNO.EPERM), [...request(TIOCSTI), ...request(TIOCLINUX)], abis),
    ...(options.configured?.defaults === false ? [] : defaultRules(options.answered ?? [], abis)),
  ]
  return [...rules, ...aliases(rules), ...(options.configured?.rules ?? [])]
}

function defaultRules(answered: readonly string[], abis: readonly Abi[]): Rule[] {
  const denied = DEFAULT_DENIED.filter((name) => !answered.includes(name))
  return denied.flatMap((name) => rulesFor(name, errno(ERRNO.ENOSYS), undefined, abis))
}

/** What is refused whatever the policy says. Installed without a listener, before the other one. */
export function denyFilter(rules: readonly Rule[] = denyRules(), abis: readonly Abi[] = MACHINE_ABIS): Program {
  return compileFilter(rules, {abis})
}

/** The calls that the enabled families declare, on every ABI that has them. */
export function notifyRules(
  calls: readonly Pick<AnyCall, 'condition' | 'name' | 'number'>[],
  abis: readonly Abi[] = MACHINE_ABIS,
): Rule[] {
  return calls.flatMap(({name, number, condition}) => rulesFor(name, {kind: 'notify'}, condition, abis, number))
}

/** Undefined when nothing is intercepted: then no listener is needed. */
export function notifyFilter(
  calls: readonly Pick<AnyCall, 'condition' | 'name' | 'number'>[],
  abis: readonly Abi[] = MACHINE_ABIS,
): Program | undefined {
  const rules = notifyRules(calls, abis)
  return rules.length === 0 ? undefined : compileFilter(rules, {abis})
}
