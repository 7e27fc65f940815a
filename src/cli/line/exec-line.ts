// The command line of `exec`, read into plain options.

import type {ExecOptions} from '../../container/run-options.js'
import {UsageError} from '../../errors.js'
import {toBytes} from '../flags/bytes.js'
import {isOn, listOf, valueOf} from '../../flag.js'
import type {FlagValues} from '../../flag.js'
import {container as flags} from '../flags/container.js'
import {flagsOf} from '../flags/index.js'
import {environmentOf} from '../flags/values.js'
import {parseLine} from './operands.js'
import {loadPolicy, toPolicy} from './policy.js'
import {noCommand, outputOptions} from './run-line.js'

/** Undefined: help was asked for. `words` are what follows `interceptor exec`. */
export async function parseExec(
  words: readonly string[],
  ownEnvironment: readonly Buffer[],
): Promise<ExecOptions | undefined> {
  const {values, operands, help} = parseLine(words, 'exec')
  if (help) return undefined
  const [container = '', ...rest] = operands
  const command = commandOf(container, rest)
  return {
    container,
    command,
    environment: environmentOf(ownEnvironment, isOn(values, flags.clearEnv), listOf(values, flags.env)),
    asked: narrows(values) ? toPolicy(values, await loadPolicy(values)) : undefined,
    user: valueOf(values, flags.user) ?? {uid: 0, gid: 0},
    workdir: valueOf(values, flags.workdir),
    output: outputOptions(values),
  }
}

function commandOf(container: string, rest: readonly string[]): readonly Buffer[] {
  const [first] = rest
  if (first?.startsWith('-') === true && first !== '--' && first.length > 1)
    throw new UsageError(`flags come before the container, and ${first} comes after it`, {
      hints: [`put it before ${container}, or -- before a command that begins with a dash`],
    })
  const command = first === '--' ? rest.slice(1) : rest
  if (container === '' || command.length === 0) throw noCommand('exec')
  if (command[0] === '') throw new UsageError('the command is an empty word', {hints: ['give the name of a program']})
  return command.map(toBytes)
}

/** Whether a flag says what may be done; without one the container's own policy holds. */
function narrows(values: FlagValues): boolean {
  return flagsOf('exec').some(({group, name}) => group === 'Interception' && values[name] !== undefined)
}
