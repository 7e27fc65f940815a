// Eight processes that call at once, beside one that makes as many calls alone.

import type {Comparison, Context, Figure} from '../figure.js'
import {alternate} from '../measure.js'
import * as need from '../needs.js'
import {missing} from '../needs.js'
import {Caller, latencyOf, throughputOf} from '../subjects/caller.js'
import type {Kind} from '../subjects/caller.js'
import {diskDirectory} from '../subjects/file-systems.js'

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

/** At least as many calls in all as one process makes. */
const TARGET = {atLeast: 1}

async function underInterceptor(context: Context, what: string, kind: Kind, calls: number, directory: string) {
  const caller = Caller.underInterceptor(context, {kind, directory, processes: PROCESSES, flags: ['--mknod']})
  const [throughput, ...rest] = await compare(context, what, caller, calls)
  await caller.end()
  return [{...throughput!, target: TARGET}, ...rest]
}

async function run(context: Context): Promise<readonly Comparison[]> {
  const directory = context.directory()
  const bare = await underInterceptor(context, 'bare', 'unlinkat', CALLS, directory)
  const recorded = await underInterceptor(context, 'recorded', 'recorded', CALLS, directory)
  const mknod: Comparison[] = []
  const lacking = missing(need.ownFileSystem)
  if (lacking === undefined) {
    const ext4 = diskDirectory(context)
    mknod.push(...(await underInterceptor(context, 'mknod', 'mknod', CALLS_MKNOD, ext4)))
    const plain = Caller.plainly(context, {kind: 'mknod', directory: ext4, processes: PROCESSES})
    mknod.push(...(await compare(context, 'mknod, plain', plain, CALLS_MKNOD)))
  } else context.leaveOut('mknod', lacking)
  const loop = Caller.underLoop(context, 'continue', {directory, processes: PROCESSES, kind: 'unlinkat'})
  return [...bare, ...recorded, ...mknod, ...(await compare(context, 'C loop', loop, CALLS))]
}

export const concurrency: Figure = {
  name: 'concurrency',
  title: '8 processes calling at once / one process, the same number of calls',
  needs: [],
  run,
}
