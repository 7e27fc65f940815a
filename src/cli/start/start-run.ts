// Starts `run` without oclif: reads the line, opens the report, hands over to the container and ends as it ended. All
// that a run needs is imported at once, since each import on the way costs milliseconds.

import {ownEnvironment} from '../../container/launch/process-args.js'
import {runContainer} from '../../container/run.js'
import type {Entry} from '../../container/userns/reexecute.js'
import {isRawTerminal, isReady, isTerminal} from '../../ffi/terminal.js'
import {Composition} from '../../intercept/composition.js'
import {errnoName} from '../../kernel/errno.js'
import {openReport} from '../../render/report.js'
import {configureRun} from '../line/run-line.js'
import {leave} from './leave.js'

/**
 * Does not come back, except with false when help was asked for. `words` follow `interceptor run`; `entry` tells how an
 * ordinary user's supervisor came into its user namespace.
 */
export async function startRun(words: readonly string[], entry: Entry | undefined): Promise<false> {
  const options = await configureRun(words, ownEnvironment())
  if (options === undefined) return false
  const {policy, configuration} = options
  const composition = new Composition({policy, rootless: entry !== undefined, denied: configuration?.denied})
  const reporter = await openReport({
    output: options.output,
    words: options.words,
    vocabulary: {describe: (syscall) => composition.argumentsOf(syscall), errnoName},
    isRaw: isRawTerminal,
    isTerminal,
    isReady,
  })
  for (const note of configuration?.notes ?? []) await reporter.note(note)
  return leave(await runContainer(options, composition, reporter, entry))
}
