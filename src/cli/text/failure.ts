// Words every failure, once: the only place that prints them and that knows which exit status they mean.

import {writeSync} from 'node:fs'

import {withCauses} from '../../causes.js'
import {EXIT, InterceptorError, LaunchError, UsageError} from '../../errors.js'
import {printable} from '../../render/printable.js'
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
  const limit = limitHints(error)
  if (error instanceof InterceptorError) {
    return {text: paragraph(withCauses(error), [...error.hints, ...limit]), exitCode: statusOf(error, command)}
  }
  if (isNowhere(error)) return describeFailure(nowhere(error), command)
  if (isOfSystem(error)) return describeFailure(new LaunchError('cannot go on', {cause: error}), command)
  const stack = error instanceof Error ? stackOfSources(error.stack ?? String(error)) : String(error)
  const lines = stack.split('\n').map((line) => printable(line))
  return {
    text: `interceptor: internal error (this is a bug in interceptor, not in your program)\n${lines.join('\n')}\n`,
    exitCode: EXIT.bug,
  }
}

/** No file could be opened any more, whatever it was for: no bug, and the cause alone shows nobody a way out. */
function limitHints(error: unknown): readonly string[] {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (!('code' in cause)) continue
    if (cause.code === 'EMFILE') return ['allow interceptor more open files: ulimit -n 1024']
    if (cause.code === 'ENFILE') return ['allow the whole system more open files: sysctl fs.file-max']
  }
  return []
}

/** A failed system call, of ours or of Node's, is the machine's answer and no bug, also where nobody expected it. */
function isOfSystem(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error && 'code' in error
}

/** getcwd(3) finds no current directory, whatever it was for: it was removed, or may not be looked up. */
function isNowhere(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error && error.syscall === 'uv_cwd'
}

function nowhere(cause: unknown): UsageError {
  return new UsageError('cannot find the current directory', {cause, hints: ['change to a directory that exists']})
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

export function lowerFirst(text: string): string {
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
