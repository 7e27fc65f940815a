// Every flag as data: parsing, help, man pages and completion all come from these tables.

import {configurationFlags} from './configuration.js'
import {containerFlags} from './container.js'
import {explainFlags} from './explain.js'
import {interceptionFlags} from './interception.js'
import {outputFlags} from './output.js'

export type CommandName = 'check' | 'exec' | 'explain' | 'run'
export type FlagGroup = 'Configuration' | 'Container' | 'Interception' | 'Output'

export interface Flag {
  /** Long name, without dashes. */
  readonly name: string
  readonly char?: string
  readonly group: FlagGroup
  readonly commands: readonly CommandName[]
  /** switch: present or not. value: once. list: repeatable. */
  readonly kind: 'list' | 'switch' | 'value'
  /** What stands for the value in help, e.g. `SIZE`. */
  readonly placeholder?: string
  /** Lists only: several values in one word. */
  readonly separator?: ','
  /** The only values there are. */
  readonly options?: readonly string[]
  /** One line without a full stop. */
  readonly summary: string
  /** Whole sentences, for the man page. */
  readonly description: string
}

/** What was typed or configured, by long name: true, a text, or a list of texts. Not yet checked for meaning. */
export type FlagValues = Readonly<Record<string, boolean | string | readonly string[] | undefined>>

export const flags: readonly Flag[] = [
  ...configurationFlags,
  ...interceptionFlags,
  ...containerFlags,
  ...outputFlags,
  ...explainFlags,
]

export function flagsOf(command: CommandName): readonly Flag[] {
  return flags.filter((flag) => flag.commands.includes(command))
}

export function isOn(values: FlagValues, name: string): boolean {
  return values[name] === true
}

export function valueOf(values: FlagValues, name: string): string | undefined {
  const value = values[name]
  return typeof value === 'string' ? value : undefined
}

export function listOf(values: FlagValues, name: string): readonly string[] {
  const value = values[name]
  return typeof value === 'object' ? value : []
}
