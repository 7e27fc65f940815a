// File systems of a figure's own: what others do on the disk, and what was there before, has no part in what is measured.

import {execFileSync} from 'node:child_process'
import {chmodSync, closeSync, ftruncateSync, openSync} from 'node:fs'
import {join} from 'node:path'

import {BenchError} from '../errors.js'
import type {Context} from '../figure.js'

/** Of a sparse file. */
const IMAGE_BYTES = 1 << 30
const INODES = 500_000

/**
 * A fresh directory of a fresh ext4, in an image. On one that is in use a call of mknod can take a millisecond where it
 * takes microseconds: ext4 passes over every inode that was deleted in the last minute (recently_deleted() in
 * fs/ext4/ialloc.c), and benchmarks delete many. Needs root, mkfs.ext4 and loop devices.
 */
export function diskDirectory(context: Context): string {
  const image = join(context.directory(), 'image')
  const file = openSync(image, 'wx')
  ftruncateSync(file, IMAGE_BYTES)
  closeSync(file)
  call('make an ext4', 'mkfs.ext4', '-q', '-F', '-N', String(INODES), image)
  const directory = context.directory()
  // Without it a thread of the kernel writes inode tables while we measure.
  mount(context, directory, '-o', 'loop,noinit_itable', image)
  chmodSync(directory, 0o777)
  return directory
}

/** A fresh directory in memory, where next to nothing but the call itself is timed. Needs root. */
export function memoryDirectory(context: Context): string {
  const directory = context.directory()
  mount(context, directory, '-t', 'tmpfs', '-o', 'mode=0777', 'bench')
  return directory
}

function mount(context: Context, directory: string, ...words: readonly string[]): void {
  call('mount a file system', 'mount', ...words, directory)
  context.defer(() => call('unmount a file system', 'umount', directory))
}

function call(what: string, command: string, ...words: readonly string[]): void {
  try {
    execFileSync(command, words, {stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8'})
  } catch (error) {
    throw new BenchError(`cannot ${what}`, {cause: error})
  }
}
