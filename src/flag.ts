// A flag as data: how it is typed, read, and described. The command line, help, manual pages, completion, the keys of a
// configuration file and their schema come from such entries; families declare theirs in families/NAME/policy.ts.

import {UsageError} from './errors.js'
import {nearest} from './nearest.js'

export type CommandName = 'check' | 'exec' | 'explain' | 'run' | 'trust'
export type FlagGroup = 'Configuration' | 'Container' | 'Interception' | 'Output'

interface FlagBase {
  /** Long name, without dashes. */
  readonly name: string
  readonly char?: string
  readonly group: FlagGroup
  readonly commands: readonly CommandName[]
  /** One line without a full stop. */
  readonly summary: string
  /** Whole sentences, for the man page. */
  readonly description: string
}

export interface SwitchFlag extends FlagBase {
  readonly kind: 'switch'
  readonly placeholder?: undefined
  readonly options?: undefined
}

interface WithValue<T> extends FlagBase {
  /** Stands for the value in help, e.g. `SIZE`. */
  readonly placeholder: string
  /** The only values there are. */
  readonly options?: readonly string[]
  /** Reads one value; `name` is for the UsageError of one that cannot be. Pure. */
  readonly parse: (name: string, text: string) => T
  /** A configuration file may also write the value as a number. */
  readonly isNumber?: boolean
  /** Only taken from a configuration file that was named: it has code run with our rights. */
  readonly onlyFromNamed?: boolean
  /** A value that names a path of the host, with `absolute` in the place of that path: configuration files lie elsewhere. */
  readonly withPath?: (text: string, absolute: (path: string) => string) => string
}

export interface ValueFlag<T = unknown> extends WithValue<T> {
  /** At most once. */
  readonly kind: 'value'
}

export interface ListFlag<T = unknown> extends WithValue<T> {
  /** Any number of times. */
  readonly kind: 'list'
  /** Several values in one word. */
  readonly separator?: ','
  /** A configuration file may also give it as members, which are joined by `=`; the types that their values may have. */
  readonly members?: readonly ('boolean' | 'number' | 'string')[]
}

export type Flag = ListFlag | SwitchFlag | ValueFlag

/** What was typed or configured, by long name: true, a text, or a list of texts. Not yet checked for meaning. */
export type FlagValues = Readonly<Record<string, boolean | string | readonly string[] | undefined>>

/** What every flag of a family has in common. */
export const INTERCEPTION = {group: 'Interception', commands: ['run', 'exec', 'explain', 'check']} as const

export function isOn(values: FlagValues, {name}: SwitchFlag): boolean {
  return values[name] === true
}

/** Undefined where the flag was not given. Throws UsageError. */
export function valueOf<T>(values: FlagValues, {name, parse}: ValueFlag<T>): T | undefined {
  const text = values[name]
  return typeof text === 'string' ? parse(name, text) : undefined
}

/** Throws UsageError. */
export function listOf<T>(values: FlagValues, {name, parse}: ListFlag<T>): readonly T[] {
  const texts = values[name]
  return typeof texts === 'object' ? texts.map((text) => parse(name, text)) : []
}

/** A value that needs no reading. */
export function asTyped(_name: string, text: string): string {
  return text
}

/** A path of the host; a configuration file could hold what no command line can. */
export function asPath(name: string, text: string): string {
  if (text === '' || text.includes('\0')) throw invalidValue(name, text, 'a path')
  return text
}

/** `withPath` of a value that is one path. */
export function wholePath(text: string, absolute: (path: string) => string): string {
  return absolute(text)
}

/** Members of a flag that has only a few values. */
export function choice<const T extends string>(...options: readonly T[]) {
  return {
    options,
    parse(name: string, text: string): T {
      const option = options.find((each) => each === text)
      if (option === undefined) throw wrongOption({name, options}, text)
      return option
    },
  }
}

/** A flag with a few values, and none of them. */
export function wrongOption({name, options = []}: Pick<WithValue<unknown>, 'name' | 'options'>, text: string): Error {
  const meant = nearest(text, options)
  const only = options.length === 1 ? 'only ' : ''
  return new UsageError(`--${name} takes ${only}${oneOf(options)}, not ${JSON.stringify(text)}`, {
    hints: meant === undefined ? [] : [`did you mean --${name} ${meant}?`],
  })
}

export function oneOf(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)!}`
}

/** `--NAME: "TEXT" is not EXPECTED`. */
export function invalidValue(name: string, text: string, expected: string, hint?: string): UsageError {
  return new UsageError(`--${name}: ${JSON.stringify(text)} is not ${expected}`, {
    hints: hint === undefined ? [] : [hint],
  })
}
