// A notification that nothing is done for: what the worker itself costs, beside a loop in C.

import type {Comparison, Context, Figure} from '../figure.js'
import {alternate} from '../measure.js'
import {Caller, latencyOf} from '../subjects/caller.js'

const CALLS = 5000
const ROUNDS = 25

/**
 * Reached through the built program: with --mknod, unlinkat is notified, and the kernel's again while no node is
 * emulated. With a null path the kernel then ends it at once (EFAULT).
 */
async function run(context: Context): Promise<readonly Comparison[]> {
  const directory = context.directory()
  const ours = Caller.underInterceptor(context, {kind: 'unlinkat', flags: ['--mknod'], directory})
  const recorded = Caller.underInterceptor(context, {kind: 'recorded', flags: ['--mknod'], directory})
  const loop = Caller.underLoop(context, 'continue', {kind: 'unlinkat', directory})
  const bare = Caller.underLoop(context, 'bare', {kind: 'bare', directory})
  const rounds = await alternate(
    {
      ours: () => ours.round(1, CALLS),
      loop: () => loop.round(1, CALLS),
      recorded: () => recorded.round(1, CALLS),
      bare: () => bare.round(1, CALLS),
    },
    {rounds: context.rounds(ROUNDS), warmUps: 4, signal: context.signal},
  )
  const baseline = latencyOf('C loop', rounds.loop)
  return [
    {
      what: 'bare round trip',
      subject: latencyOf('interceptor', rounds.ours),
      baseline,
      target: {atMost: 1.5},
      note: 'bin/run.js run --mknod, unlinkat(AT_FDCWD, NULL, 0), handed back to the kernel; both the same call',
    },
    {
      what: 'with a record of it',
      subject: latencyOf('interceptor', rounds.recorded),
      baseline,
      note: 'seccomp(2) for a second listener: handed back too, with a decision that names the caller',
    },
    {what: 'C loop, answered with 0', subject: latencyOf('C loop (bare)', rounds.bare), baseline},
  ]
}

export const roundTrip: Figure = {
  name: 'round-trip',
  title: 'bare notification round trip, our worker / C loop with the same flags',
  needs: [],
  run,
}
