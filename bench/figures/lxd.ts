// LXD does the same in a daemon, with a new process for each call: the same caller in a container of each.

import type {Comparison, Context, Figure} from '../figure.js'
import {alternate} from '../measure.js'
import * as need from '../needs.js'
import {Lxd} from '../peers/lxd.js'
import {aptPackage} from '../peers/unpacked.js'
import {Caller, latencyOf} from '../subjects/caller.js'
import {memoryDirectory} from '../subjects/file-systems.js'

/** A call takes LXD milliseconds. */
const CALLS = 40
const ROUNDS = 25
const WARM_UP_CALLS = 2000

async function run(context: Context): Promise<readonly Comparison[]> {
  const lxd = await Lxd.start(context)
  const directory = memoryDirectory(context)
  context.leaveOut('sysinfo', 'this LXD does not intercept it')
  const comparisons: Comparison[] = []
  for (const kind of ['mknod', 'setxattr', 'getppid'] as const) {
    const ours = Caller.underInterceptor(context, {kind, directory, flags: ['--mknod', '--setxattr']})
    const theirs = await lxd.caller(kind)
    // What is compiled as it is used is compiled before.
    await ours.round(1, WARM_UP_CALLS)
    const rounds = await alternate(
      {
        ours: () => ours.round(1, CALLS),
        theirs: () => theirs.round(1, CALLS),
      },
      {rounds: context.rounds(ROUNDS), warmUps: 3, signal: context.signal},
    )
    for (const caller of [ours, theirs]) await caller.end()
    const subject = latencyOf('interceptor', rounds.ours)
    comparisons.push({what: kind, subject, baseline: latencyOf(`LXD ${lxd.version}`, rounds.theirs)})
  }
  const [mknod, ...rest] = comparisons
  const note = 'both on a tmpfs, with no other load on the daemon'
  return [{...mknod!, target: {atMost: 0.01}, note}, ...rest]
}

export const lxd: Figure = {
  name: 'lxd',
  title: 'emulated calls / the same intercepted by LXD, each in a container',
  needs: [
    need.root,
    aptPackage('lxd'),
    need.program('setpriv', 'util-linux'),
    need.program('unshare', 'util-linux'),
    need.program('tar'),
  ],
  run,
}
