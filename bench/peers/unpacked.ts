// Debian packages that are used without being installed: fetched by apt and unpacked into a directory.

import {execFileSync} from 'node:child_process'
import {existsSync, mkdirSync, readdirSync} from 'node:fs'
import {join} from 'node:path'

import {BenchError} from '../errors.js'
import type {Context, Need} from '../figure.js'
import {findProgram} from '../needs.js'

export interface Unpacked {
  /** Holds a `usr` of what this system lacks of the package and of what it depends on. */
  readonly directory: string
  readonly version: string
}

/** That apt has a version of the package that it could install. */
export function aptPackage(name: string): Need {
  return () => {
    if (findProgram('apt-get') === undefined || findProgram('dpkg-deb') === undefined) return 'needs apt and dpkg'
    return versionOf(name) === undefined
      ? `apt knows no package ${name} here (after \`apt-get update\` it may)`
      : undefined
  }
}

/** What `apt-get install` would bring, in a directory that is gone after the figure. */
export function unpackMissing(context: Context, name: string): Unpacked {
  const version = versionOf(name)
  if (version === undefined) throw new BenchError(`cannot find a version of ${name}`)
  const directory = context.directory()
  const archives = join(directory, 'archives')
  mkdirSync(archives)
  const simulated = run(directory, 'apt-get', '-s', '--no-install-recommends', 'install', name)
  const missing = [...simulated.matchAll(/^Inst (\S+)(?: \[[^\]]*\])? \((\S+)/gmu)].map(
    ([, one, its]) => `${one}=${its}`,
  )
  if (missing.length > 0) {
    context.say(`fetches and unpacks for this figure, without installing them: ${missing.join(' ')}`)
    // apt's own user may not be able to reach the directory.
    run(archives, 'apt-get', '-q', '-o', 'APT::Sandbox::User=root', 'download', ...missing)
    for (const file of readdirSync(archives)) run(directory, 'dpkg-deb', '--extract', join(archives, file), directory)
  }
  if (!existsSync(join(directory, 'usr'))) mkdirSync(join(directory, 'usr'))
  return {directory, version}
}

function versionOf(name: string): string | undefined {
  try {
    const version = /^ {2}Candidate: (\S+)/mu.exec(run('/', 'apt-cache', 'policy', name))?.[1]
    return version === '(none)' ? undefined : version
  } catch {
    return undefined
  }
}

function run(cwd: string, command: string, ...words: readonly string[]): string {
  const env = {...process.env, LC_ALL: 'C.UTF-8'}
  try {
    return execFileSync(command, words, {cwd, env, stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8'})
  } catch (error) {
    throw new BenchError(`cannot fetch Debian packages`, {cause: error})
  }
}
