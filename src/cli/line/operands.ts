// Splits a command line into flags and operands, by one grammar for all commands. The first operand of run and exec ends
// their flags: `run ls -la` needs no `--`. Operands of the others stand anywhere among their flags.

import {UsageError} from '../../errors.js'
import {nearest} from '../../nearest.js'
import {oneOf, wrongOption} from '../../flag.js'
import type {CommandName, Flag, FlagValues, ListFlag, ValueFlag} from '../../flag.js'
import {flagsOf} from '../flags/index.js'

export interface ParsedLine {
  readonly values: FlagValues
  /** Of run and exec the first operand and everything behind it, as typed. */
  readonly operands: readonly string[]
  /** `--help` or `-h` stood among our flags. */
  readonly help: boolean
}

interface Given {
  readonly flag: Flag
  /** As typed: `--name` or `-n`. */
  readonly typed: string
  readonly value: string | undefined
}

/** Their operands are a command with flags of its own. */
const WITH_COMMAND: ReadonlySet<CommandName> = new Set(['exec', 'run'])

/** `words` follow the name of the command. Throws UsageError. */
export function parseLine(words: readonly string[], command: CommandName, known = flagsOf(command)): ParsedLine {
  const values: Record<string, string[] | boolean | string> = {}
  const operands: string[] = []
  let at = 0
  let help = false
  for (; at < words.length; at++) {
    const word = words[at]!
    if (word === '--') {
      at += 1
      break
    }
    if (!word.startsWith('-') || word === '-') {
      if (WITH_COMMAND.has(command)) break
      operands.push(word)
      continue
    }
    if (word.startsWith('--help=')) throw new UsageError('--help takes no value')
    if (word === '--help' || word === '-h') {
      help = true
      continue
    }
    for (const {flag, typed, value} of flagsInWord(word, command, known)) {
      let text = value
      if (flag.kind !== 'switch' && text === undefined) {
        text = words[++at]
        if (text === undefined || isFlag(text, known)) throw needsValue(typed, flag)
      }
      store(values, flag, text)
    }
  }
  return {values, operands: [...operands, ...words.slice(at)], help}
}

/** `--name`, `--name=value`, `-n`, `-nvalue`, or several switches as `-ab`. */
function flagsInWord(word: string, command: CommandName, known: readonly Flag[]): readonly Given[] {
  if (word.startsWith('--')) {
    const equals = word.indexOf('=')
    const typed = equals === -1 ? word : word.slice(0, equals)
    const flag = known.find((candidate) => `--${candidate.name}` === typed) ?? unknownFlag(typed, known, command)
    const value = equals === -1 ? undefined : word.slice(equals + 1)
    if (flag.kind === 'switch' && value !== undefined) throw new UsageError(`${typed} takes no value`)
    return [{flag, typed, value}]
  }
  const given: Given[] = []
  for (let at = 1; at < word.length; at++) {
    const typed = `-${word[at]!}`
    const flag =
      known.find(({char}) => char === word[at]) ??
      unknownFlag(typed.length === word.length ? typed : word, known, command)
    if (flag.kind === 'switch') given.push({flag, typed, value: undefined})
    else
      return [...given, {flag, typed, value: at + 1 < word.length ? word.slice(at + 1).replace(/^=/, '') : undefined}]
  }
  return given
}

function store(values: Record<string, string[] | boolean | string>, flag: Flag, text: string | undefined): void {
  if (flag.kind === 'switch' || text === undefined) {
    values[flag.name] = true
    return
  }
  if (flag.options !== undefined && !flag.options.includes(text)) throw wrongOption(flag, text)
  const earlier = values[flag.name]
  if (flag.kind === 'value') {
    if (earlier !== undefined) throw new UsageError(`--${flag.name} can be given only once`)
    values[flag.name] = text
    return
  }
  const items = flag.separator === undefined ? [text] : text.split(flag.separator)
  values[flag.name] = [...(Array.isArray(earlier) ? earlier : []), ...items]
}

function isFlag(text: string, known: readonly Flag[]): boolean {
  return known.some(({char, name}) => text === `--${name}` || (char !== undefined && text === `-${char}`))
}

export function needsValue(typed: string, {options, placeholder}: ListFlag | ValueFlag): UsageError {
  return new UsageError(`${typed} needs a value: ${options === undefined ? placeholder : oneOf(options)}`)
}

/** Words a flag that does not exist, with the nearest one that does. */
export function unknownFlag(typed: string, known: readonly Flag[], command?: string): never {
  const names = [...known.map(({name}) => name), 'help']
  const meant = typed.length < 3 ? undefined : nearest(typed.replace(/^--?/, ''), names)
  const help = command === undefined ? 'interceptor --help' : `interceptor ${command} --help`
  throw new UsageError(`unknown flag ${typed}`, {
    hints: [meant === undefined ? `see ${help}` : `did you mean --${meant}?`],
  })
}
