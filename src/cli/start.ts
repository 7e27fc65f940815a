// Starts `run` without oclif: reads the line, opens the report, hands over to the container and ends as it ended.

import {ownEnvironment} from '../container/own-strings.js'
import type {Entry} from '../container/reexecute.js'
import type {Reporter, RunEnd, RunOptions} from '../container/run-options.js'
import {leave} from './leave.js'
import {configureRun} from './run-line.js'

export interface RunService {
  readonly run: (options: RunOptions, reporter: Reporter, entry: Entry | undefined) => Promise<RunEnd>
}

/**
 * Does not come back, except with false when help was asked for. `words` follow `interceptor run`; `entry` tells how an
 * ordinary user's supervisor came into its user namespace.
 */
export async function startRun(
  words: readonly string[],
  entry: Entry | undefined,
  loadService: () => Promise<RunService>,
): Promise<false> {
  const options = await configureRun(words, ownEnvironment())
  if (options === undefined) return false
  const [service, {openReport}, {describeCalls}, {isRawTerminal}, {errnoName}] = await Promise.all([
    loadService(),
    import('../render/report.js'),
    import('./describe.js'),
    import('../ffi/terminal.js'),
    import('../ffi/errors.js'),
  ])
  const reporter = await openReport({
    output: options.output,
    words: options.words,
    vocabulary: {describe: describeCalls(options.policy), errnoName},
    isRaw: isRawTerminal,
  })
  for (const note of options.configuration?.notes ?? []) await reporter.note(note)
  return leave(await service.run(options, reporter, entry))
}
