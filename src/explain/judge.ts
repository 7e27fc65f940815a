// What would be answered to a call: through the real filters in our own machine, then by the family's own decide().

import {isSystemError} from '../ffi/errors.js'
import {deciding} from '../intercept/combine.js'
import type {Composition} from '../intercept/composition.js'
import type {AnyFamily, Arguments, CallerFacts, Json, Verdict} from '../intercept/family.js'
import {checkProgram, runFilters} from '../intercept/filter/bpf-vm.js'
import {actionOf} from '../intercept/filter/bpf.js'
import type {Action, Instruction} from '../intercept/filter/bpf.js'
import type {Hint} from '../intercept/hint.js'
import {ABIS} from '../kernel/abi.js'
import type {Abi} from '../kernel/abi.js'
import {callNumber} from '../kernel/calls/index.js'
import {ALL_CAPABILITIES} from '../kernel/capabilities.js'
import {UnknownArgument, imagine} from './registers.js'
import type {Imagined} from './registers.js'
import {applyRules} from './rules.js'
import type {PolicyRule} from './rules.js'
import type {ParsedCall} from './strace-notation.js'

export type Outcome =
  /** Performed by the supervisor. */
  | 'performed'
  /** Seen by the supervisor and handed back to the kernel. */
  | 'continued'
  /** Never leaves the kernel, which decides with the container's own rights. */
  | 'kernel'
  /** Refused by the filter, the policy or (see `by`) the kernel. */
  | 'refused'
  /** It can't be told, see `reason`. */
  | 'unknown'

/** One test that the filter made on the way to its verdict. */
export interface FilterTest {
  readonly text: string
  readonly holds: boolean
}

export interface FilterVerdict {
  readonly action: Action
  /** Which of the two filters the action comes from. */
  readonly program: 'deny' | 'notify'
  readonly tests: readonly FilterTest[]
}

export interface Judgement {
  readonly syscall: string
  readonly abi: Abi
  readonly number: number | undefined
  readonly outcome: Outcome
  readonly by: 'filter' | 'kernel' | 'policy' | undefined
  readonly errno: number | undefined
  readonly reason: string
  readonly hint: Hint | undefined
  /** The kernel would do it for a container too, if otherwise. */
  readonly worksNatively: boolean
  readonly family: AnyFamily['name'] | undefined
  readonly filter: FilterVerdict | undefined
  readonly values: Readonly<Record<string, Json>> | undefined
  /** Entries of the family's policy, and which of them would have the call performed. */
  readonly rules: readonly PolicyRule[]
  /** How the arguments read in the log. */
  readonly shown: string | undefined
}

/** Root of the container with all its capabilities. */
export const CONTAINER_ROOT: CallerFacts = {
  uid: 0,
  gid: 0,
  effective: ALL_CAPABILITIES,
  inContainerUserNamespace: true,
}

/** The command's process, which runs with `uid` of the container: execve(2) leaves no capabilities to any but root. */
export function callerOf({uid, gid}: {readonly uid: number; readonly gid: number}): CallerFacts {
  return uid === 0 ? {...CONTAINER_ROOT, gid} : {...CONTAINER_ROOT, uid, gid, effective: 0n}
}

export class Judge {
  readonly composition: Composition
  /** Who makes the calls that are judged. */
  readonly caller: CallerFacts
  readonly #programs: readonly (readonly Instruction[])[]

  constructor(composition: Composition, caller = CONTAINER_ROOT) {
    this.composition = composition
    this.caller = caller
    const {deny, notify} = composition
    this.#programs = [deny, ...(notify === undefined ? [] : [notify])].map(({instructions}) => instructions)
    for (const program of this.#programs) checkProgram(program)
  }

  judge(call: ParsedCall, abi: Abi): Judgement {
    const number = callNumber(abi, this.composition.calls.get(call.name)?.call ?? call)
    const base: Judgement = {
      syscall: call.name,
      abi,
      number,
      outcome: 'unknown',
      by: undefined,
      errno: undefined,
      reason: `${abi} has no call of this name`,
      hint: undefined,
      worksNatively: true,
      family: undefined,
      filter: undefined,
      values: undefined,
      rules: [],
      shown: undefined,
    }
    if (number === undefined) return base
    const imagined = imagine(call, abi, this.composition.argumentsOf(call.name))
    const filter = this.#filter(number, abi, imagined)
    if (typeof filter === 'number') return {...base, reason: doubtful(imagined, filter)}
    return this.#answer({...base, filter}, filter, imagined)
  }

  #answer(base: Judgement, filter: FilterVerdict, imagined: Imagined): Judgement {
    switch (filter.action.kind) {
      case 'errno':
        return {
          ...base,
          outcome: 'refused',
          by: 'filter',
          errno: filter.action.errno,
          reason: 'the filter refuses it, whatever the policy',
        }
      case 'notify':
        return this.#decide(base, imagined)
      case 'allow':
        return {...base, outcome: 'kernel', reason: "the kernel decides, with the container's own rights"}
      default:
        return {...base, outcome: 'refused', by: 'filter', reason: `the filter's answer is ${filter.action.kind}`}
    }
  }

  /** The verdict, or the index of an argument that the filter looks at and that is not known. */
  #filter(number: number, abi: Abi, {values, addresses}: Imagined): FilterVerdict | number {
    const known = values.map((value, index) => (addresses.has(index) ? undefined : value))
    const registers = values.map((value) => value ?? 0n)
    const data = {number, arch: ABIS[abi].auditArch, instructionPointer: 0n, arguments: registers}
    const run = runFilters(this.#programs, data)
    if (run === undefined) throw new Error('no filter')
    const program = this.#programs[run.filter] ?? []
    for (const instructions of this.#programs) {
      const unknown = unknownLoad(instructions, runFilters([instructions], data)?.path ?? [], known)
      if (unknown !== undefined) return unknown
    }
    return {
      action: actionOf(run.value),
      program: run.filter === 0 ? 'deny' : 'notify',
      tests: testsOf(program, run.path),
    }
  }

  #decide(base: Judgement, imagined: Imagined): Judgement {
    const composed = this.composition.calls.get(base.syscall)
    if (composed === undefined) return {...base, reason: 'no family declares it'}
    const {call, parts} = composed
    const known = {...base, family: parts[0]?.family.name}
    if (call.precheck !== undefined) {
      return {
        ...known,
        outcome: 'continued',
        reason: 'only an object that was emulated before is not left to the kernel',
      }
    }
    const read: Record<string, unknown> = {}
    const entries = Object.entries(call.arguments as Arguments)
    try {
      for (const [name, argument] of entries) {
        read[name] = argument.read(imagined.registers, imagined.memory, base.abi)
      }
    } catch (error) {
      if (error instanceof UnknownArgument) return {...known, reason: doubtful(imagined, error.index)}
      if (isSystemError(error)) return {...known, reason: 'what an argument points to is not in the notation'}
      throw error
    }
    const values = Object.fromEntries(entries.map(([name, argument]) => [name, argument.json(read[name], read)]))
    const shown = `${base.syscall}(${entries.map(([name, argument]) => argument.show(read[name], read)).join(', ')})`
    const {part, verdict} = deciding(parts, read, this.caller)
    const decide = (policy: unknown): Verdict => part.call.decide(read, this.caller, policy)
    const rules = applyRules(part.policy, decide)
    const {worksNatively = false} = part.call
    return {
      ...known,
      ...{family: part.family.name, values, shown, rules},
      worksNatively: worksNatively === true || (worksNatively !== false && worksNatively(read)),
      ...answerOf(verdict),
    }
  }
}

function answerOf(verdict: Verdict): Pick<Judgement, 'by' | 'errno' | 'hint' | 'outcome' | 'reason'> {
  const {reason} = verdict
  switch (verdict.kind) {
    case 'perform':
      return {outcome: 'performed', by: 'policy', errno: undefined, reason, hint: undefined}
    case 'continue':
      return {outcome: 'continued', by: 'policy', errno: undefined, reason, hint: undefined}
    case 'refuse':
      return {outcome: 'refused', by: 'policy', errno: verdict.errno, reason, hint: verdict.hint}
  }
}

function doubtful({doubts, addresses}: Imagined, index: number): string {
  const known = doubts.find((doubt) => doubt.index === index)?.reason
  const reason =
    known ?? (addresses.has(index) ? 'it is an address, which the notation does not hold' : 'it is not given')
  return `argument ${index + 1} decides, and ${reason}`
}

/** seccomp_data.args begin at byte 16, eight bytes each. */
function unknownLoad(
  program: readonly Instruction[],
  path: readonly number[],
  values: readonly (bigint | undefined)[],
): number | undefined {
  for (const index of path) {
    const {code, k} = program[index]!
    if (code !== 0x20 || k < 16) continue
    if (values[(k - 16) >> 3] === undefined) return (k - 16) >> 3
  }
  return undefined
}

/** Conditional jumps on the way, without the steps of the search for the number: `mknod or above`, other calls. */
function testsOf(program: readonly Instruction[], path: readonly number[]): FilterTest[] {
  return path.flatMap((index, step) => {
    const {code, jt, comment} = program[index]!
    const next = path[step + 1]
    if ((code & 7) !== 5 || comment === undefined || next === undefined) return []
    const holds = next === index + 1 + jt
    if (comment.endsWith(' or above') || (!holds && /^\w+ \(\d+\)$/.test(comment))) return []
    return [{text: comment, holds}]
  })
}
