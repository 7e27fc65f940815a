// `interceptor run` alone: a bundle of its own, so that a run reads and compiles nothing of the other commands.

import {prepareMoves} from '../../container/cgroup/move.js'
import {enterUserNamespace} from '../../container/userns/reexecute.js'
import {endPreparedWorker, prepareWorker} from '../../intercept/engine/worker-thread.js'
import {catching} from './catching.js'
import {interceptionFlags} from '../flags/interception.js'

/** False where help was asked for, which is for the whole program to show. */
export async function main(argv: readonly string[]): Promise<boolean> {
  let isDone = true
  await catching(argv, async ([, ...rest]) => {
    isDone = await run(rest)
  })
  // After a failure, or before help.
  await endPreparedWorker()
  return isDone
}

/** `words` follow `interceptor run`. Does not come back, except with false where help was asked for. */
export async function run(words: readonly string[]): Promise<false> {
  const entry = await enterUserNamespace()
  if (entry === undefined) prepareMoves()
  if (looksIntercepted(words)) prepareWorker()
  const {startRun} = await import('./start-run.js')
  return startRun(words, entry)
}

/** At a glance, before the words are read: a worker that nobody needs after all costs time and memory, and no more. */
function looksIntercepted(words: readonly string[]): boolean {
  const end = words.indexOf('--')
  const ours = end === -1 ? words : words.slice(0, end)
  return ours.some((word) => interceptionFlags.some(({name}) => word === `--${name}` || word.startsWith(`--${name}=`)))
}
