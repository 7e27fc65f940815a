// The programs that are measured and that measure: where they are, and how they are built.

import {execFileSync} from 'node:child_process'
import {copyFileSync, existsSync} from 'node:fs'
import {join} from 'node:path'
import {fileURLToPath} from 'node:url'

import {BenchError} from '../errors.js'

export const PROJECT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/u, '')
export const INTERCEPTOR = join(PROJECT, 'bin', 'run.js')
export const LOOP = join(PROJECT, 'bench', 'native', 'build', 'loop')
export const TERMINAL = join(PROJECT, 'bench', 'native', 'build', 'terminal')
/** A first process for a container, which waits. */
export const PAUSE = join(PROJECT, 'bench', 'native', 'build', 'pause')
const BUILT = join(PROJECT, 'bench', 'native', 'build')

/** What is measured is what is there now: the built program is never older than its sources. */
export function buildPrograms(): void {
  build('the program', process.execPath, join('scripts', 'build.mjs'))
  build('the native helper', 'make', '-s', '-C', 'native')
  build('the programs of bench/native', 'make', '-s', '-C', join('bench', 'native'))
}

function build(what: string, command: string, ...words: readonly string[]): void {
  try {
    execFileSync(command, words, {cwd: PROJECT, stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8'})
  } catch (error) {
    throw new BenchError(`cannot build ${what}`, {cause: error})
  }
}

/** The caller in `directory`, where a container that shows nothing of the project finds it; its name from there. */
export function placeCaller(directory: string, isDynamic = false): string {
  const name = isDynamic ? 'caller-dynamic' : 'caller'
  const path = join(directory, name)
  if (!existsSync(path)) copyFileSync(join(BUILT, name), path)
  return `./${name}`
}
