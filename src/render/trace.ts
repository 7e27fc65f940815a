// One decision as one line of text, in the manner of strace.

import type {Decision} from '../intercept/decision.js'
import type {Argument, Arguments} from '../intercept/family.js'
import {hintText} from '../intercept/hint.js'
import {printable, printableUpTo} from './printable.js'
import type {Style} from './style.js'
import {plainStyle} from './style.js'

/** What rendering must know of the registry and of the machine; given, so that this layer needs neither. */
export interface Vocabulary {
  /** The declared arguments of a call. */
  readonly describe: (syscall: string) => Arguments | undefined
  readonly errnoName: (errno: number) => string
}

/** Longest that one argument, or one reason, is shown. */
const shownMax = 1024

export function traceLine(decision: Decision, vocabulary: Vocabulary, style: Style = plainStyle): string {
  const caller = `[${decision.pid} ${printableUpTo(decision.comm, 32)}]`
  const call = `${printableUpTo(decision.syscall, 64)}(${showArguments(decision, vocabulary)})`
  const outcome = style[decision.outcome](decision.outcome)
  const hint = decision.hint === null ? '' : `; ${hintText(decision.hint)}`
  const why = printableUpTo(`${decision.reason}${hint}`, shownMax)
  return `${style.faint('interceptor:')} ${caller} ${call} = ${resultOf(decision, vocabulary)}  ${outcome}${how(decision)}: ${why}\n`
}

/** `0`, `-1 EPERM` or `?`. */
export function resultOf(decision: Decision, vocabulary: Vocabulary): string {
  if (decision.outcome === 'continued') return '?'
  return decision.errno === null ? String(decision.result) : `-1 ${vocabulary.errnoName(decision.errno)}`
}

/** ` (node, 23 us)` where something was performed. */
function how({latencyUs, outcome, strategy}: Decision): string {
  if (outcome !== 'emulated' && outcome !== 'failed') return ''
  const took = `${latencyUs < 10 ? latencyUs.toFixed(1) : Math.round(latencyUs)} us`
  return strategy === null ? ` (${took})` : ` (${printableUpTo(strategy, 32)}, ${took})`
}

function showArguments({registers, syscall, values}: Decision, vocabulary: Vocabulary): string {
  const declared = vocabulary.describe(syscall)
  if (values !== undefined && declared !== undefined) {
    return argumentsOf(declared)
      .map(([name, argument]) => cut(showValue(argument, values[name], values)))
      .join(', ')
  }
  return (registers ?? []).map((register) => `0x${register.toString(16)}`).join(', ')
}

const entriesOf = new WeakMap<Arguments, readonly (readonly [string, Argument<unknown>])[]>()

/** Declared arguments in the order in which the call takes them. */
export function argumentsOf(declared: Arguments): readonly (readonly [string, Argument<unknown>])[] {
  let entries = entriesOf.get(declared)
  if (entries === undefined) {
    entries = Object.entries(declared)
    entriesOf.set(declared, entries)
  }
  return entries
}

function showValue(argument: Argument<unknown>, value: unknown, others: Readonly<Record<string, unknown>>): string {
  try {
    return argument.show(value, others)
  } catch {
    // A handler of the user's own may not be able to show what it read; the decision is still told.
    return '?'
  }
}

/** Escapes once more what should be escaped already, and cuts what is too long, not within an escape. */
function cut(shown: string): string {
  const safe = printable(shown)
  if (safe.length <= shownMax) return safe
  const head = safe.slice(0, shownMax).replace(/(?:\\(?:x[0-9a-f]?)?|[\uD800-\uDBFF])$/, '')
  return `${head}${safe.startsWith('"') ? '"' : ''}...`
}
