// Each family alone and with eight callers, beside the plain system call as root.

import type {Comparison, Context, Figure} from '../figure.js'
import {alternate} from '../measure.js'
import * as need from '../needs.js'
import {Caller, latencyOf} from '../subjects/caller.js'
import type {Kind} from '../subjects/caller.js'
import {diskDirectory} from '../subjects/file-systems.js'

interface Family {
  readonly kind: Kind
  readonly flags: readonly string[]
  readonly calls: number
  /** Plain calls must not leave anything on the host. */
  readonly around?: readonly string[]
}

const PROCESSES = 8
const ROUNDS = 15
const FAMILIES: readonly Family[] = [
  {kind: 'mknod', flags: ['--mknod'], calls: 800},
  {kind: 'sysinfo', flags: ['--sysinfo'], calls: 2000},
  {kind: 'setxattr', flags: ['--setxattr'], calls: 800},
  {kind: 'sched', flags: ['--sched-setscheduler'], calls: 2000},
  {kind: 'mount', flags: ['--mount-allowed', 'tmpfs'], calls: 160, around: ['unshare', '--mount']},
  {kind: 'bpf', flags: ['--bpf', '--bpf-devices'], calls: 400},
]

async function measure(context: Context, {kind, flags, calls, around}: Family): Promise<readonly Comparison[]> {
  context.say(kind)
  const options = {kind, directory: diskDirectory(context), processes: PROCESSES}
  const ours = Caller.underInterceptor(context, {...options, flags})
  const plain = Caller.plainly(context, options, around)
  const rounds = await alternate(
    {
      alone: () => ours.round(1, calls),
      plain: () => plain.round(1, calls),
      eight: () => ours.round(PROCESSES, calls / PROCESSES),
    },
    {rounds: context.rounds(ROUNDS), warmUps: 3, signal: context.signal},
  )
  await ours.end()
  await plain.end()
  const alone = latencyOf('one caller', rounds.alone)
  return [
    {what: `${kind}: one caller`, subject: alone, baseline: latencyOf('plain, as root', rounds.plain)},
    {what: `${kind}: 8 callers`, subject: latencyOf('8 callers', rounds.eight), baseline: alone},
  ]
}

async function run(context: Context): Promise<readonly Comparison[]> {
  const comparisons: Comparison[] = []
  for (const family of FAMILIES) comparisons.push(...(await measure(context, family)))
  return comparisons
}

export const families: Figure = {
  name: 'families',
  title: 'latency of each family, with one caller and with 8 at once',
  needs: [...need.ownFileSystem, need.program('unshare', 'util-linux')],
  run,
}
