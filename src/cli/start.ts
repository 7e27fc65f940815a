// Starts `run` without oclif: reads the line, opens the report, hands over to the container and ends as it ended.

import type {Reporter, RunEnd, RunOptions} from '../container/run-options.js'
import {ownEnvironment} from './bytes.js'
import {leave} from './leave.js'
import {parseRun} from './run-line.js'

export interface RunService {
  readonly run: (options: RunOptions, reporter: Reporter) => Promise<RunEnd>
}

/** Does not come back, except with false when help was asked for. `words` follow `interceptor run`. */
export async function startRun(words: readonly string[], loadService: () => Promise<RunService>): Promise<false> {
  const options = parseRun(words, ownEnvironment())
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
  return leave(await service.run(options, reporter))
}
