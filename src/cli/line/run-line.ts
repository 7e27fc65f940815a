// The command line of `run`, read into the plain options that the container is made from.

import type {ContainerOptions, OutputOptions, RunOptions} from '../../container/run-options.js'
import {UsageError} from '../../errors.js'
import {handlersOf} from './handlers.js'
import type {HandlerPolicy} from '../../intercept/policy.js'
import {toBytes} from '../flags/bytes.js'
import type {FlagValues} from '../flags/index.js'
import {isOn, listOf, valueOf} from '../flags/index.js'
import {withConfiguration} from './configuration.js'
import {parseLine} from './operands.js'
import type {ParsedLine} from './operands.js'
import {toPolicy} from './policy.js'
import * as read from '../flags/values.js'

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
  const handler = await handlersOf(values)
  return {...runOptions(words, line, values, ownEnvironment, handler), configuration}
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
  handler?: HandlerPolicy,
): RunOptions {
  return {
    command: operands.map(toBytes),
    environment: read.environmentOf(ownEnvironment, isOn(values, 'clear-env'), listOf(values, 'env')),
    policy: toPolicy(values, handler),
    container: containerOptions(values),
    output: outputOptions(values),
    ...exportOption(values),
    words: ['run', ...words].map(toBytes),
    ownWords: words.length - operands.length + 1,
  }
}

function exportOption(values: FlagValues): Pick<RunOptions, 'export'> {
  const [file, given, rootfs] = ['export', 'export-root', 'rootfs'].map((name) => {
    const text = valueOf(values, name)
    return text === undefined ? undefined : read.parsePath(name, text)
  })
  if (file === undefined) {
    if (given === undefined) return {}
    throw new UsageError('--export-root says what is exported, but not where to', {hints: ['add --export FILE.tar']})
  }
  const root = given ?? rootfs
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

export function containerOptions(values: FlagValues): ContainerOptions {
  const one = <T>(name: string, parse: (name: string, text: string) => T): T | undefined => {
    const text = valueOf(values, name)
    return text === undefined ? undefined : parse(name, text)
  }
  const all = <T>(name: string, parse: (name: string, text: string) => T): readonly T[] =>
    listOf(values, name).map((text) => parse(name, text))
  return {
    name: one('name', read.parseName),
    rootfs: one('rootfs', read.parsePath),
    binds: all('bind', read.parseBind),
    tmpfs: all('tmpfs', read.parseContainerPath),
    devices: all('device', read.parseDeviceOption),
    workdir: one('workdir', read.parseContainerPath),
    hostname: one('hostname', read.parseHostname),
    user: one('user', read.parseUser) ?? {uid: 0, gid: 0},
    uidMap: read.parseIdMaps('uid-map', listOf(values, 'uid-map')),
    gidMap: read.parseIdMaps('gid-map', listOf(values, 'gid-map')),
    memoryBytes: one('memory', read.parseSize),
    pids: one('pids', read.parseCount),
    cpus: one('cpus', read.parseCpus),
    network: valueOf(values, 'network') === 'none' ? 'none' : 'host',
    readOnly: isOn(values, 'read-only'),
  }
}

export function outputOptions(values: FlagValues): OutputOptions {
  const path = (name: string) => {
    const text = valueOf(values, name)
    return text === undefined ? undefined : read.parsePath(name, text)
  }
  const trace = valueOf(values, 'trace')
  return {
    trace: trace === 'none' || trace === 'refused' ? trace : 'all',
    logFile: path('log-file'),
    logFormat: valueOf(values, 'log-format') === 'json' ? 'json' : 'text',
    summary: isOn(values, 'summary'),
    quiet: isOn(values, 'quiet'),
    showSecrets: isOn(values, 'show-secrets'),
    manifest: path('manifest'),
    failOnRefused: valueOf(values, 'fail-on') === 'refused',
  }
}
