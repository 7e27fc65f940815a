// Every flag of every command. Those of interception are what the families declare.

import type {CommandName, Flag} from '../../flag.js'
import {FAMILIES} from '../../intercept/families/index.js'
import {configurationFlags} from './configuration.js'
import {containerFlags} from './container.js'
import {explainFlags} from './explain.js'
import {outputFlags} from './output.js'

export const flags: readonly Flag[] = [
  ...configurationFlags,
  ...FAMILIES.flatMap(({policy}) => policy.flags),
  ...containerFlags,
  ...outputFlags,
  ...explainFlags,
]

export function flagsOf(command: CommandName): readonly Flag[] {
  return flags.filter((flag) => flag.commands.includes(command))
}

/** Flags that a configuration file may hold: those of `run`, but for the ones that say which file. */
export const configurationKeys: readonly Flag[] = flagsOf('run').filter(({group}) => group !== 'Configuration')
