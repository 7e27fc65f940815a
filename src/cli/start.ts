// Starts `run` without oclif: reads the line, opens the report, hands over to the container and ends as it ended.

import type {Reporter, RunEnd, RunOptions} from '../container/run-options.js'
import type {Vocabulary} from '../render/trace.js'
import {ownEnvironment} from './bytes.js'
import {leave} from './leave.js'
import {parseRun} from './run-line.js'

export interface RunService {
  run(options: RunOptions, reporter: Reporter): Promise<RunEnd>
  /** The declared arguments of a call of this policy. */
  readonly describe: Vocabulary['describe']
}

/** Does not come back, except with false when help was asked for. `words` follow `interceptor run`. */
export async function startRun(words: readonly string[], loadService: () => Promise<RunService>): Promise<false> {
  const options = parseRun(words, ownEnvironment())
  if (options === undefined) return false
  const [service, {openReport}, {isRawTerminal}, {errnoName}] = await Promise.all([
    loadService(),
    import('../render/report.js'),
    import('../ffi/terminal.js'),
    import('../ffi/errors.js'),
  ])
  const reporter = await openReport({
    output: options.output,
    words: options.words,
    vocabulary: {describe: service.describe, errnoName},
    isRaw: isRawTerminal,
  })
  return leave(await service.run(options, reporter))
}
