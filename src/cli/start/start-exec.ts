// Starts `exec` without oclif, as start-run.ts does for `run`.

import {execInContainer, openTarget} from '../../container/exec.js'
import {ownEnvironment} from '../../container/launch/process-args.js'
import {takeEntry} from '../../container/userns/reexecute.js'
import {isRawTerminal, isReady, isTerminal} from '../../ffi/terminal.js'
import {errnoName} from '../../kernel/errno.js'
import {openReport} from '../../render/report.js'
import {parseExec} from '../line/exec-line.js'
import {leave} from './leave.js'

/** Does not come back, except with false when help was asked for. `words` follow `interceptor exec`. */
export async function startExec(words: readonly string[]): Promise<false> {
  const entry = takeEntry()
  const options = await parseExec(words, ownEnvironment())
  if (options === undefined) return false
  const target = await openTarget(options.container, options.asked, entry)
  const reporter = await openReport({
    output: options.output,
    // The same line with one more flag would not help: flags of exec allow nothing.
    words: [],
    vocabulary: {describe: (syscall) => target.composition.argumentsOf(syscall), errnoName},
    isRaw: isRawTerminal,
    isTerminal,
    isReady,
  })
  return leave(await execInContainer(options, target, reporter))
}
