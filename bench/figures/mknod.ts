// mknod emulated by strategy `node`, beside the plain system call and beside what the kernel alone takes for it.

import type {Comparison, Context, Figure} from '../figure.js'
import {alternate} from '../measure.js'
import * as need from '../needs.js'
import {Caller, latencyOf} from '../subjects/caller.js'
import {diskDirectory, memoryDirectory} from '../subjects/file-systems.js'

const CALLS = 500
const ROUNDS = 40

/** All in one directory. */
async function compare(context: Context, where: string, directory: string): Promise<readonly Comparison[]> {
  const options = {kind: 'mknod', directory} as const
  const ours = Caller.underInterceptor(context, {...options, flags: ['--mknod']})
  const plain = Caller.plainly(context, options)
  const floor = Caller.underLoop(context, 'mknod', options)
  const rounds = await alternate(
    {
      ours: () => ours.round(1, CALLS),
      plain: () => plain.round(1, CALLS),
      floor: () => floor.round(1, CALLS),
    },
    {rounds: context.rounds(ROUNDS), warmUps: 6, signal: context.signal},
  )
  const emulated = latencyOf('interceptor', rounds.ours)
  const kernel = latencyOf('C loop (mknod)', rounds.floor)
  const asRoot = latencyOf('plain, as root', rounds.plain)
  return [
    {what: where, subject: emulated, baseline: asRoot},
    {what: `${where}: our code`, subject: emulated, baseline: kernel},
    {what: `${where}: the kernel's part`, subject: kernel, baseline: asRoot},
  ]
}

async function run(context: Context): Promise<readonly Comparison[]> {
  const [first, ...others] = await compare(context, 'on ext4', diskDirectory(context))
  const inMemory = await compare(context, 'on tmpfs', memoryDirectory(context))
  const note = 'the C loop makes the fewest kernel calls that are safe, and no record (bench/native/perform.c)'
  return [{...first!, target: {atMost: 2.5}, note}, ...others, ...inMemory]
}

export const mknod: Figure = {
  name: 'mknod',
  title: 'mknod emulated (node) / the plain system call as root',
  needs: need.ownFileSystem,
  run,
}
