// How a command that was to be run in a container ended, told to the reporter: the same for run and exec.

import {EXIT, InterceptorError, type InterceptorErrorOptions} from '../../errors.js'
import {SystemError} from '../../ffi/errors.js'
import type {ContainerEnd} from './index.js'
import {below, display, join} from '../../host/path-bytes.js'
import {findProgram, interpreterOf} from '../../host/programs.js'
import type {Reporter, RunEnd} from '../run-options.js'

/** The command was not there, or can't be executed; statuses as env(1) gives them. */
export class CommandError extends InterceptorError {
  override readonly exitCode: number

  constructor(message: string, exitCode: number, options: InterceptorErrorOptions = {}) {
    super(message, options)
    this.exitCode = exitCode
  }
}

/**
 * Throws CommandError where it did not even start.
 *
 * @param hidden directories of the host that the container does not see
 */
export async function reportEnd(
  reporter: Reporter,
  end: ContainerEnd,
  command: readonly Buffer[],
  hidden: readonly Buffer[] = [],
): Promise<RunEnd> {
  if (end.kind === 'exited') return reporter.end(end)
  if (end.kind === 'signaled') return reporter.end({kind: 'signalled', signal: end.signal})
  const error = notStarted(end, command[0] ?? Buffer.alloc(0), hidden)
  await reporter.end({kind: 'exited', status: error.exitCode})
  throw error
}

function notStarted(
  end: Extract<ContainerEnd, {kind: 'not-started'}>,
  command: Buffer,
  hidden: readonly Buffer[],
): CommandError {
  const name = display(command)
  const cause = new SystemError('execve', end.errno)
  if (!end.notFound) return new CommandError(`cannot execute ${name}`, EXIT.notExecutable, {cause})
  const shown = flagThatShows(command, end.exists, hidden)
  if (end.exists) {
    return new CommandError(`cannot execute ${name}: its interpreter is not there`, EXIT.notFound, {
      hints: [...shown, 'look at its first line, or at the dynamic loader it names: file COMMAND'],
    })
  }
  return new CommandError(`cannot find the command ${name}`, EXIT.notFound, {
    hints:
      shown.length > 0
        ? shown
        : ['look at PATH, and whether the container sees the directory: without --rootfs homes are hidden'],
  })
}

/** Where the host has the command, or its interpreter where only that is missing, in a directory that is hidden. */
function flagThatShows(command: Buffer, exists: boolean, hidden: readonly Buffer[]): readonly string[] {
  const path = findProgram(command.toString())
  const missing = path !== undefined && exists ? interpreterOf(path) : path
  if (missing === undefined) return []
  for (const home of hidden) {
    const [first] = below(Buffer.from(missing), home) ?? []
    if (first === undefined) continue
    const directory = display(join(home, first))
    return [`the container does not see it; this shows it: --bind ${directory}:${directory}:ro`]
  }
  return []
}
