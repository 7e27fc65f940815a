// The command line of `run`, read into the plain options that the container is made from.

import type {OutputOptions, RunOptions} from '../../container/run-options.js'
import {UsageError} from '../../errors.js'
import {isOn, listOf, valueOf} from '../../flag.js'
import type {FlagValues} from '../../flag.js'
import type {Policy} from '../../intercept/policy.js'
import {toBytes} from '../flags/bytes.js'
import {container as flags} from '../flags/container.js'
import {output} from '../flags/output.js'
import {environmentOf} from '../flags/values.js'
import {withConfiguration} from './configuration.js'
import {containerOptions} from './container-options.js'
import {parseLine} from './operands.js'
import type {ParsedLine} from './operands.js'
import {loadPolicy, toPolicy} from './policy.js'

/** Undefined: help was asked for. `words` are what follows `interceptor run`; no configuration file is read. */
export function parseRun(words: readonly string[], ownEnvironment: readonly Buffer[]): RunOptions | undefined {
  const line = readLine(words)
  return line && runOptions(words, line, line.values, ownEnvironment)
}

/** The same, with the configuration file that goes with it. */
export async function configureRun(
  words: readonly string[],
  ownEnvironment: readonly Buffer[],
): Promise<RunOptions | undefined> {
  const line = readLine(words)
  if (line === undefined) return undefined
  const {values, ...configuration} = await withConfiguration(line.values, 'run')
  const loaded = await loadPolicy(values)
  return {...runOptions(words, line, values, ownEnvironment, loaded), configuration}
}

function readLine(words: readonly string[]): ParsedLine | undefined {
  const line = parseLine(words, 'run')
  if (line.help) return undefined
  if (line.operands.length === 0) throw noCommand('run')
  if (line.operands[0] === '')
    throw new UsageError('the command is an empty word', {hints: ['give the name of a program']})
  return line
}

function runOptions(
  words: readonly string[],
  {operands}: ParsedLine,
  values: FlagValues,
  ownEnvironment: readonly Buffer[],
  loaded?: Policy,
): RunOptions {
  return {
    command: operands.map(toBytes),
    environment: environmentOf(ownEnvironment, isOn(values, flags.clearEnv), listOf(values, flags.env)),
    policy: toPolicy(values, loaded),
    container: containerOptions(values),
    output: outputOptions(values),
    ...exportOption(values),
    words: ['run', ...words].map(toBytes),
    ownWords: words.length - operands.length + 1,
  }
}

function exportOption(values: FlagValues): Pick<RunOptions, 'export'> {
  const [file, given] = [valueOf(values, flags.export), valueOf(values, flags.exportRoot)]
  if (file === undefined) {
    if (given === undefined) return {}
    throw new UsageError('--export-root says what is exported, but not where to', {hints: ['add --export FILE.tar']})
  }
  const root = given ?? valueOf(values, flags.rootfs)
  if (root !== undefined) return {export: {file, root}}
  throw new UsageError('--export says where to, but not what is exported', {
    hints: ['add --export-root DIR, the directory that the command makes'],
  })
}

export function noCommand(name: 'exec' | 'run'): UsageError {
  const container = name === 'exec' ? 'CONTAINER ' : ''
  return new UsageError(`${name} needs a command`, {
    hints: [`interceptor ${name} [FLAGS] ${container}[--] COMMAND [ARG...]`, `see interceptor ${name} --help`],
  })
}

export function outputOptions(values: FlagValues): OutputOptions {
  return {
    trace: valueOf(values, output.trace) ?? 'all',
    logFile: valueOf(values, output.logFile),
    logFormat: valueOf(values, output.logFormat) ?? 'text',
    summary: isOn(values, output.summary),
    quiet: isOn(values, output.quiet),
    showSecrets: isOn(values, output.showSecrets),
    manifest: valueOf(values, output.manifest),
    failOnRefused: valueOf(values, output.failOn) === 'refused',
  }
}
