// Eight processes that call at once, beside one that makes as many calls alone.

import type {Comparison, Context, Figure} from '../figure.js'
import {alternate} from '../measure.js'
import * as need from '../needs.js'
import {Caller, latencyOf, throughputOf} from '../subjects/caller.js'

const PROCESSES = 8
const CALLS = 4000
const CALLS_MKNOD = 800
const ROUNDS = 25

async function compare(context: Context, what: string, caller: Caller, calls: number): Promise<Comparison[]> {
  const rounds = await alternate(
    {
      eight: () => caller.round(PROCESSES, calls / PROCESSES),
      one: () => caller.round(1, calls),
    },
    {rounds: context.rounds(ROUNDS), warmUps: 4, signal: context.signal},
  )
  return [
    {
      what: `${what}: throughput`,
      subject: throughputOf('8 processes', rounds.eight),
      baseline: throughputOf('one process', rounds.one),
    },
    {
      what: `${what}: latency`,
      subject: latencyOf('8 processes', rounds.eight),
      baseline: latencyOf('one process', rounds.one),
    },
  ]
}

async function run(context: Context): Promise<readonly Comparison[]> {
  const directory = context.directory()
  const shared = {directory, processes: PROCESSES, flags: ['--mknod']}
  const target = {atLeast: 1}
  const withTarget = ([throughput, ...rest]: readonly Comparison[]): Comparison[] => [{...throughput!, target}, ...rest]
  const inInterceptor = async (what: string, kind: 'mknod' | 'recorded' | 'unlinkat', calls: number) => {
    const caller = Caller.underInterceptor(context, {...shared, kind})
    const comparisons = withTarget(await compare(context, what, caller, calls))
    await caller.end()
    return comparisons
  }
  const bare = await inInterceptor('bare', 'unlinkat', CALLS)
  const recorded = await inInterceptor('recorded', 'recorded', CALLS)
  const lacking = need.root()
  if (lacking !== undefined) context.leaveOut('mknod', lacking)
  const mknod = lacking === undefined ? await inInterceptor('mknod', 'mknod', CALLS_MKNOD) : []
  const loop = Caller.underLoop(context, 'continue', {directory, processes: PROCESSES, kind: 'unlinkat'})
  return [...bare, ...recorded, ...mknod, ...(await compare(context, 'C loop', loop, CALLS))]
}

export const concurrency: Figure = {
  name: 'concurrency',
  title: '8 processes calling at once / one process, the same number of calls',
  needs: [],
  run,
}
