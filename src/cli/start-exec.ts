// Starts `exec` without oclif, as start.ts does for `run`.

import {ownEnvironment} from '../container/own-strings.js'
import {takeEntry} from '../container/reexecute.js'
import {parseExec} from './exec-line.js'
import {leave} from './leave.js'

/** Does not come back, except with false when help was asked for. `words` follow `interceptor exec`. */
export async function startExec(words: readonly string[]): Promise<false> {
  const entry = takeEntry()
  const options = parseExec(words, ownEnvironment())
  if (options === undefined) return false
  const {execInContainer, openTarget} = await import('../container/exec.js')
  const target = await openTarget(options.container, options.asked, entry)
  const [{openReport}, {describeCalls}, {isRawTerminal}, {errnoName}] = await Promise.all([
    import('../render/report.js'),
    import('./describe.js'),
    import('../ffi/terminal.js'),
    import('../ffi/errors.js'),
  ])
  const reporter = await openReport({
    output: options.output,
    // The same line with one more flag would not help: flags of exec allow nothing.
    words: [],
    vocabulary: {describe: describeCalls(target.policy), errnoName},
    isRaw: isRawTerminal,
  })
  return leave(await execInContainer(options, target, reporter))
}
