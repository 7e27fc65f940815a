// Our flag tables as oclif has them, for its classes of commands. line/operands.ts reads command lines.

import {Flags} from '@oclif/core'
import type {Interfaces} from '@oclif/core'

import type {CommandName, Flag, FlagGroup} from '../../flag.js'
import {flagsOf} from './index.js'

export type OclifFlags = Record<string, Interfaces.Flag<boolean | string | string[] | undefined>>

export function oclifFlags(command: CommandName): OclifFlags {
  const table = flagsOf(command)
  const groups = new Set(table.map(({group}) => group))
  return Object.fromEntries([
    ...table.map((flag) => [flag.name, oclifFlag(flag)] as const),
    [
      'help',
      Flags.help({char: 'h', helpGroup: groups.has('Output') ? ('Output' satisfies FlagGroup) : 'Global'}),
    ] as const,
  ]) as OclifFlags
}

function oclifFlag(flag: Flag) {
  const common = {
    summary: flag.summary,
    description: flag.description,
    helpGroup: flag.group,
    ...(flag.char === undefined ? {} : {char: flag.char as 'q'}),
  }
  if (flag.kind === 'switch') return Flags.boolean(common)
  const option = {
    ...common,
    helpValue: flag.placeholder,
    ...(flag.options === undefined ? {} : {options: [...flag.options]}),
  }
  if (flag.kind === 'value') return Flags.string(option)
  return Flags.string({
    ...option,
    multiple: true,
    multipleNonGreedy: true,
    ...(flag.separator === undefined ? {} : {delimiter: flag.separator}),
  })
}
