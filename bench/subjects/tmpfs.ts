// A file system in memory, where next to nothing but the call itself is timed.

import {execFileSync} from 'node:child_process'

import {BenchError} from '../errors.js'
import type {Context} from '../figure.js'

/** A fresh directory on a tmpfs of its own, which lets device nodes be opened; needs root. */
export function memoryDirectory(context: Context): string {
  const directory = context.directory()
  const mount = (command: string, ...words: readonly string[]): void => {
    try {
      execFileSync(command, words, {stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8'})
    } catch (error) {
      throw new BenchError(`cannot ${command} a tmpfs`, {cause: error})
    }
  }
  mount('mount', '-t', 'tmpfs', '-o', 'mode=0777', 'bench', directory)
  context.defer(() => mount('umount', directory))
  return directory
}
