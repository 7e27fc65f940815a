// What a person can do about a refusal. Data up to here and beyond: only hintText() words it, and only readHint() reads
// those words again, from a log. Pure.

import type {Flag} from '../flag.js'

/** One flag with which the call would be allowed. */
export interface FlagHint {
  /** With its dashes. */
  readonly flag: string
  /** As it is, without quotes; undefined for a switch. */
  readonly value?: string
}

/** Something else to do, in words. */
export interface Advice {
  readonly advice: string
}

export type Hint = Advice | FlagHint

/** The hint that this flag would allow the call. `value`: one that the flag takes. */
export function allowedBy({name}: Pick<Flag, 'name'>, value?: string): FlagHint {
  return value === undefined ? {flag: `--${name}`} : {flag: `--${name}`, value}
}

export function isFlagHint(hint: Hint): hint is FlagHint {
  return 'flag' in hint
}

/** The words of a command line, not quoted. */
export function wordsOf({flag, value}: FlagHint): readonly string[] {
  return value === undefined ? [flag] : [flag, value]
}

export function sameFlag(one: FlagHint, other: FlagHint): boolean {
  return one.flag === other.flag && one.value === other.value
}

/** For people, and the member `hint` of a log: `--mknod-allow b:8:0 would allow it`. */
export function hintText(hint: Hint): string {
  return isFlagHint(hint) ? `${wordsOf(hint).join(' ')} would allow it` : hint.advice
}

const FLAG_TEXT = /^(--[a-z][a-z0-9-]*)(?: (.+))? would allow it$/s

/** The inverse of hintText(). */
export function readHint(text: string): Hint {
  const [, flag, value] = FLAG_TEXT.exec(text) ?? []
  if (flag === undefined) return {advice: text}
  return value === undefined ? {flag} : {flag, value}
}
