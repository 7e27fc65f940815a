// `interceptor run` alone: a bundle of its own, so that a run reads and compiles nothing of the other commands.

import {prepareMoves} from '../../container/cgroup/move.js'
import {enterUserNamespace} from '../../container/userns/reexecute.js'
import {endPreparedWorker, prepareWorker} from '../../intercept/engine/worker-thread.js'
import {catching} from './catching.js'
import {configurationFlags} from '../flags/configuration.js'
import {containerFlags} from '../flags/container.js'
import {outputFlags} from '../flags/output.js'

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

const OTHERS = [...configurationFlags, ...containerFlags, ...outputFlags]

/**
 * At a glance, before the words are read and the families loaded: a flag that is none of the others is one of theirs. A
 * worker that nobody needs after all costs time and memory, and no more.
 */
function looksIntercepted(words: readonly string[]): boolean {
  for (let at = 0; at < words.length; at++) {
    const [typed = ''] = words[at]!.split('=', 1)
    const other = OTHERS.find(({name, char}) => typed === `--${name}` || (char !== undefined && typed === `-${char}`))
    if (other === undefined) return /^--[a-z]/.test(typed) && typed !== '--help'
    if (other.kind !== 'switch' && typed === words[at]) at++
  }
  return false
}
