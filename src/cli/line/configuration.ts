// Flags together with the configuration file that goes with them: flags win, key by key.

import {existsSync, readFileSync} from 'node:fs'

import {loadConfiguration} from '../../config/load.js'
import type {ConfigurationRequest} from '../../config/load.js'
import type {LoadedConfiguration} from '../../config/read.js'
import {isInitialUserNamespace, parseProcIdMap, toHost} from '../../container/userns/idmap.js'
import {UsageError} from '../../errors.js'
import type {CommandName, FlagValues} from '../../flag.js'
import {isOn, valueOf} from '../../flag.js'
import {configuration} from '../flags/configuration.js'
import {configurationKeys, flagsOf} from '../flags/index.js'

export interface Configured extends Omit<LoadedConfiguration, 'line' | 'values'> {
  readonly values: FlagValues
}

export async function withConfiguration(given: FlagValues, command: CommandName): Promise<Configured> {
  const explicit = valueOf(given, configuration.file)
  if (explicit === '') throw new UsageError('--config needs a value: FILE')
  const disabled = isOn(given, configuration.none)
  if (explicit !== undefined && disabled)
    throw new UsageError('--config and --no-config contradict each other', {hints: ['leave one of them out']})
  const {line, ...loaded} = await loadConfiguration({
    cwd: process.cwd(),
    keys: configurationKeys,
    explicit,
    disabled,
    ...caller(),
  })
  const values = merge(loaded, given, command)
  if (loaded.file !== undefined && line !== undefined) {
    const own = Object.keys(loaded.values).filter((key) => given[key] === undefined && values[key] !== undefined)
    const {checkFileValues} = await import('./file-values.js')
    checkFileValues(values, own, (key) => `${loaded.file ?? ''}:${line(key)}`)
  }
  return {...loaded, values}
}

/**
 * A file says how the command is run: every command is told all of it, since what `explain` shows and `check` tries is
 * that run.
 */
function merge({values}: Pick<LoadedConfiguration, 'values'>, given: FlagValues, command: CommandName): FlagValues {
  const known = new Set([...flagsOf(command), ...flagsOf('run')].map(({name}) => name))
  const {config: _config, 'no-config': _none, ...own} = given
  const typed = Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined))
  return {...Object.fromEntries(Object.entries(values).filter(([key]) => known.has(key))), ...typed}
}

/** Whoever started us: root of a user namespace that an ordinary user made is that user. */
function caller(): Pick<ConfigurationRequest, 'egid' | 'euid' | 'isRoot'> {
  const [euid, egid] = [process.geteuid?.() ?? 0, process.getegid?.() ?? 0]
  if (euid !== 0 || !existsSync('/proc/self/uid_map')) return {euid, egid, isRoot: euid === 0}
  const map = parseProcIdMap(readFileSync('/proc/self/uid_map', 'utf8'))
  return {euid, egid, isRoot: isInitialUserNamespace(map) || toHost(map, euid) === 0}
}
