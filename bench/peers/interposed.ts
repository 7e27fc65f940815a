// Programs that stand between a command and the kernel without a container: what a call costs under them and under us.

import type {Comparison, Context} from '../figure.js'
import {alternate} from '../measure.js'
import {Caller, latencyOf} from '../subjects/caller.js'
import type {Kind} from '../subjects/caller.js'
import {memoryDirectory} from '../subjects/file-systems.js'

export interface Interposed {
  readonly name: string
  /** What starts it; the command follows. */
  readonly words: readonly string[]
  /** For what is preloaded: static programs never load it. */
  readonly isDynamic?: boolean
}

/** Calls in a round: one that makes files, which cost the more the more there are, and two that nobody intercepts. */
const CALLS: Readonly<Partial<Record<Kind, number>>> = {mknod: 300, getppid: 5000, openat: 5000}
const ROUNDS = 30

/** Each kind of call under us beside the same under the peer, and the peer's beside the plain system call of root. */
export async function compareWith(context: Context, peer: Interposed): Promise<readonly Comparison[]> {
  const directory = memoryDirectory(context)
  const comparisons: Comparison[] = []
  for (const [name, calls] of Object.entries(CALLS)) {
    const options = {kind: name as Kind, directory, isDynamic: peer.isDynamic ?? false}
    const ours = Caller.underInterceptor(context, {...options, flags: ['--mknod']})
    const theirs = Caller.under(context, peer.name, peer.words, options)
    const plain = Caller.plainly(context, options)
    const rounds = await alternate(
      {
        ours: () => ours.round(1, calls),
        theirs: () => theirs.round(1, calls),
        plain: () => plain.round(1, calls),
      },
      {rounds: context.rounds(ROUNDS), warmUps: 4, signal: context.signal},
    )
    for (const caller of [ours, theirs, plain]) await caller.end()
    const emulated = latencyOf('interceptor', rounds.ours)
    const interposed = latencyOf(peer.name, rounds.theirs)
    const kernel = latencyOf('plain, as root', rounds.plain)
    comparisons.push(
      {what: name, subject: emulated, baseline: interposed},
      {what: `${name}: ${peer.name}`, subject: interposed, baseline: kernel},
    )
  }
  return comparisons
}
