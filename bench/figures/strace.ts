// The nearest thing that everybody has: strace, which stops the caller at each call and changes nothing.

import type {Comparison, Context, Figure} from '../figure.js'
import * as need from '../needs.js'
import {compareWith} from '../peers/interposed.js'

async function run(context: Context): Promise<readonly Comparison[]> {
  const words = ['strace', '-f', '--seccomp-bpf', '-e', 'trace=mknod,mknodat', '-o', '/dev/null', '--']
  const [first, ...rest] = await compareWith(context, {name: 'strace', words})
  const note =
    `under ${words.slice(0, -1).join(' ')}: two stops, and the caller makes the call itself; ` +
    'strace 6.1 stops a process that was forked at its other calls too, until its first traced one'
  return [{...first!, note}, ...rest]
}

export const strace: Figure = {
  name: 'strace',
  title: 'mknod, and calls that nobody intercepts / the same under strace',
  needs: [need.root, need.program('strace')],
  run,
}
