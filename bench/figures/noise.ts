// The same thing beside itself: how far ratios lie from 1 here that mean nothing.

import type {Comparison, Context, Figure} from '../figure.js'
import {alternate} from '../measure.js'
import {Caller, latencyOf, throughputOf} from '../subjects/caller.js'

const CALLS = 5000
const ROUNDS = 25

async function run(context: Context): Promise<readonly Comparison[]> {
  const directory = context.directory()
  const start = (): Caller => Caller.underInterceptor(context, {kind: 'sysinfo', flags: ['--sysinfo'], directory})
  const one = start()
  const other = start()
  const rounds = await alternate(
    {one: () => one.round(1, CALLS), other: () => other.round(1, CALLS)},
    {rounds: context.rounds(ROUNDS), warmUps: 4, signal: context.signal},
  )
  return [
    {what: 'latency', subject: latencyOf('one run', rounds.one), baseline: latencyOf('another', rounds.other)},
    {
      what: 'throughput',
      subject: throughputOf('one run', rounds.one),
      baseline: throughputOf('another', rounds.other),
      note: 'two runs of the same command; a ratio nearer to 1 than these is no difference',
    },
  ]
}

export const noise: Figure = {
  name: 'noise',
  title: 'sysinfo under interceptor beside the same: what this machine does to a ratio',
  needs: [],
  run,
}
