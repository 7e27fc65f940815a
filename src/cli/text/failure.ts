// Words every failure, once: the only place that prints them and that knows which exit status they mean.

import {writeSync} from 'node:fs'

import {withCauses} from '../../causes.js'
import {EXIT, InterceptorError, UsageError} from '../../errors.js'
import {printable} from '../../render/printable.js'
import type {CommandName, Flag} from '../../flag.js'
import {flagsOf} from '../flags/index.js'
import {wrongOption} from '../../flag.js'
import {needsValue, unknownFlag} from '../line/operands.js'
import {stackOfSources} from './stack.js'

export interface Failure {
  /** What is printed, with its newline; empty: nothing. */
  readonly text: string
  readonly exitCode: number
}

/** Prints the failure on standard error and returns the exit status. */
export function report(error: unknown, command?: string): number {
  const {text, exitCode} = describeFailure(error, command)
  writeError(text)
  return exitCode
}

export function describeFailure(error: unknown, command?: string): Failure {
  if (error instanceof InterceptorError) {
    return {text: paragraph(withCauses(error), error.hints), exitCode: statusOf(error, command)}
  }
  if (isOclifError(error)) return describeOclifFailure(error, command)
  const stack = error instanceof Error ? stackOfSources(error.stack ?? String(error)) : String(error)
  const lines = stack.split('\n').map((line) => printable(line))
  return {
    text: `interceptor: internal error (this is a bug in interceptor, not in your program)\n${lines.join('\n')}\n`,
    exitCode: EXIT.bug,
  }
}

function paragraph(message: string, hints: readonly string[]): string {
  return [
    `interceptor: ${printable(message)}`,
    ...hints.map((hint) => `hint: ${printable(lowerFirst(hint))}`),
    '',
  ].join('\n')
}

/** Any status below 125 could be the command's own, so that run and exec answer wrong usage with 125, as env(1) does. */
function statusOf(error: InterceptorError, command: string | undefined): number {
  const runs = command === 'run' || command === 'exec'
  return runs && error.exitCode === EXIT.usage ? EXIT.failed : error.exitCode
}

interface OclifError extends Error {
  readonly oclif: {readonly exit?: number}
  /** NonExistentFlagsError: as typed. */
  readonly flags?: unknown
}

function isOclifError(error: unknown): error is OclifError {
  return error instanceof Error && 'oclif' in error
}

function describeOclifFailure(error: OclifError, command: string | undefined): Failure {
  if ('code' in error && error.code === 'EEXIT') return {text: '', exitCode: error.oclif.exit ?? EXIT.good}
  const typed = Array.isArray(error.flags) ? (error.flags[0] as unknown) : undefined
  if (error.constructor.name === 'NonExistentFlagsError' && typeof typed === 'string') {
    return describeFailure(unknownFlagError(typed, command), command)
  }
  const words = errorOfWords(error, command)
  if (words !== undefined) return describeFailure(words, command)
  const [message = ''] = error.message.split('\n')
  const help = command === undefined ? 'interceptor --help' : `interceptor ${command} --help`
  return describeFailure(new UsageError(lowerFirst(message), {hints: [`see ${help}`]}), command)
}

/** oclif's own words for a value that is none of the flag's, and for one that is missing. */
function errorOfWords({message}: Error, command: string | undefined): unknown {
  const known = flagsOfCommand(command)
  const wrong = /^Expected --([\w-]+)=(.*) to be one of: /s.exec(message)
  const absent = /^Flag --([\w-]+) expects a value/.exec(message)
  const flag = known.find(({name}) => name === (wrong ?? absent)?.[1])
  if (flag === undefined || flag.kind === 'switch') return undefined
  return wrong === null ? needsValue(`--${flag.name}`, flag) : wrongOption(flag, wrong[2]!.split('\n')[0]!)
}

function unknownFlagError(typed: string, command: string | undefined): unknown {
  try {
    return unknownFlag(typed.replace(/=.*$/s, ''), flagsOfCommand(command), command)
  } catch (error) {
    return error
  }
}

function flagsOfCommand(command: string | undefined): readonly Flag[] {
  return ['check', 'exec', 'explain', 'run'].includes(command ?? '') ? flagsOf(command as CommandName) : []
}

function lowerFirst(text: string): string {
  return /^[A-Z][a-z]/.test(text) ? text.charAt(0).toLowerCase() + text.slice(1) : text
}

/** Straight to the descriptor: process.stderr would make a shared pipe non-blocking for the command too. */
function writeError(text: string): void {
  let rest: Uint8Array = Buffer.from(text)
  for (let tries = 0; rest.length > 0 && tries < 1000;) {
    try {
      rest = rest.subarray(writeSync(2, rest))
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) return
      tries += 1
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
    }
  }
}
