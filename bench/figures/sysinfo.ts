// sysinfo emulated, beside a bare round trip and beside what the kernel alone takes for it.

import type {Comparison, Context, Figure} from '../figure.js'
import {alternate} from '../measure.js'
import * as need from '../needs.js'
import {Caller, latencyOf} from '../subjects/caller.js'
import type {Round} from '../subjects/caller.js'

const CALLS = 2000
const ROUNDS = 25

async function run(context: Context): Promise<readonly Comparison[]> {
  const directory = context.directory()
  const options = {kind: 'sysinfo', directory} as const
  const ours = Caller.underInterceptor(context, {...options, flags: ['--sysinfo']})
  const floor = Caller.underLoop(context, 'sysinfo', options)
  const bare = Caller.underLoop(context, 'bare', {kind: 'bare', directory})
  const limited = limitedCaller(context, directory)
  const rounds = await alternate<Round, string>(
    {
      ours: () => ours.round(1, CALLS),
      bare: () => bare.round(1, CALLS),
      ...(limited && {limited: () => limited.round(1, CALLS)}),
      floor: () => floor.round(1, CALLS),
    },
    {rounds: context.rounds(ROUNDS), warmUps: 4, signal: context.signal},
  )
  const baseline = latencyOf('C loop (bare)', rounds['bare']!)
  const emulated = latencyOf('interceptor', rounds['ours']!)
  const kernel = latencyOf('C loop (sysinfo)', rounds['floor']!)
  const withLimit = rounds['limited'] && latencyOf('interceptor', rounds['limited'])
  const target = {atMost: 15}
  const note = 'usage and memory.stat of the cgroup are read for each call'
  return [
    {what: 'no limit of memory', subject: emulated, baseline, target},
    ...(withLimit ? [{what: '--memory 512M', subject: withLimit, baseline, target, note}] : []),
    {what: 'our code', subject: emulated, baseline: kernel},
  ]
}

/** With a limit, for which an ordinary user may have no cgroup. */
function limitedCaller(context: Context, directory: string): Caller | undefined {
  const lacking = need.root()
  if (lacking === undefined) {
    return Caller.underInterceptor(context, {kind: 'sysinfo', flags: ['--sysinfo', '--memory', '512M'], directory})
  }
  context.leaveOut('--memory', lacking)
  return undefined
}

export const sysinfo: Figure = {
  name: 'sysinfo',
  title: 'sysinfo emulated / bare round trip of the C loop',
  needs: [],
  run,
}
