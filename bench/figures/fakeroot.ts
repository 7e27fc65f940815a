// fakeroot, which pretends in a preloaded library and asks a daemon of its own what it pretended before.

import type {Comparison, Context, Figure} from '../figure.js'
import * as need from '../needs.js'
import {compareWith} from '../peers/interposed.js'

async function run(context: Context): Promise<readonly Comparison[]> {
  const peer = {name: 'fakeroot', words: ['fakeroot', '--'], isDynamic: true}
  const [first, ...rest] = await compareWith(context, peer)
  const note = 'fakeroot makes an ordinary file and remembers what it stands for; nothing can be read from it'
  return [{...first!, note}, ...rest]
}

export const fakeroot: Figure = {
  name: 'fakeroot',
  title: 'mknod, and calls that nobody intercepts / the same under fakeroot',
  needs: [need.root, need.program('fakeroot')],
  run,
}
