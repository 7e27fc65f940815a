// The complaints of oclif in our words.

import {UsageError} from '../../errors.js'
import {wrongOption} from '../../flag.js'
import type {CommandName, Flag} from '../../flag.js'
import {flagsOf} from '../flags/index.js'
import {needsValue, unknownFlag} from '../line/operands.js'
import {lowerFirst} from './failure.js'
import type {OclifError} from './failure.js'

/** The failure that ours would be; an exit stays one. */
export function inOwnWords(error: OclifError, command: string | undefined): Error {
  if (error.code === 'EEXIT') return error
  const typed = Array.isArray(error.flags) ? (error.flags[0] as unknown) : undefined
  if (error.constructor.name === 'NonExistentFlagsError' && typeof typed === 'string')
    return unknownFlagError(typed, command)
  const words = errorOfWords(error, command)
  if (words !== undefined) return words
  const [message = ''] = error.message.split('\n')
  const help = command === undefined ? 'interceptor --help' : `interceptor ${command} --help`
  return new UsageError(lowerFirst(message), {hints: [`see ${help}`]})
}

/** oclif's own words for a value that is none of the flag's, and for one that is missing. */
function errorOfWords({message}: Error, command: string | undefined): Error | undefined {
  const known = flagsOfCommand(command)
  const wrong = /^Expected --([\w-]+)=(.*) to be one of: /s.exec(message)
  const absent = /^Flag --([\w-]+) expects a value/.exec(message)
  const flag = known.find(({name}) => name === (wrong ?? absent)?.[1])
  if (flag === undefined || flag.kind === 'switch') return undefined
  return wrong === null ? needsValue(`--${flag.name}`, flag) : wrongOption(flag, wrong[2]!.split('\n')[0]!)
}

function unknownFlagError(typed: string, command: string | undefined): Error {
  try {
    return unknownFlag(typed.replace(/=.*$/s, ''), flagsOfCommand(command), command)
  } catch (error) {
    if (error instanceof Error) return error
    throw error
  }
}

function flagsOfCommand(command: string | undefined): readonly Flag[] {
  return ['check', 'exec', 'explain', 'run', 'trust'].includes(command ?? '') ? flagsOf(command as CommandName) : []
}
