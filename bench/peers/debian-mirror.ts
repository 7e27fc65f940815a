// A Debian mirror on the disk that holds what debootstrap asks for, so that no network is measured.

import {execFileSync} from 'node:child_process'
import {copyFileSync, mkdirSync, readFileSync, readdirSync, rmSync} from 'node:fs'
import {dirname, join} from 'node:path'

import {BenchError} from '../errors.js'
import type {Context} from '../figure.js'
import {mirrorOfThisMachine} from '../../scripts/mirror.mjs'

const DEFAULT_MIRROR = 'http://deb.debian.org/debian'

export interface Mirror {
  readonly directory: string
  readonly url: string
}

/** For `debootstrap WORDS... SUITE`; what it downloads is downloaded once, from where this machine's apt does. */
export function makeMirror(context: Context, suite: string, words: readonly string[]): Mirror {
  const from = mirrorOfThisMachine(suite) ?? DEFAULT_MIRROR
  const directory = context.directory()
  const downloaded = join(directory, 'downloaded')
  context.say(`downloads the packages once from ${from}`)
  call(directory, 'debootstrap', ...words, '--download-only', suite, downloaded, from)

  const architecture = call(directory, 'dpkg', '--print-architecture').trim()
  const release = join('dists', suite)
  const index = join(release, 'main', `binary-${architecture}`)
  mkdirSync(join(directory, index), {recursive: true})
  for (const file of [join(release, 'InRelease'), join(index, 'Packages.xz')]) {
    call(directory, 'wget', '-q', '-O', join(directory, file), `${from}/${file}`)
  }
  fillPool(directory, downloaded)
  rmSync(downloaded, {recursive: true})
  call(directory, 'chmod', '-R', 'a+rX', directory)
  return {directory, url: `file://${directory}`}
}

/** Each package where the index says that it is. */
function fillPool(directory: string, downloaded: string): void {
  const archives = join(downloaded, 'var', 'cache', 'apt', 'archives')
  const lists = join(downloaded, 'var', 'lib', 'apt', 'lists')
  const names = new Set(readdirSync(archives))
  const index = readdirSync(lists).find((name) => name.endsWith('_Packages'))
  if (index === undefined) throw new BenchError('cannot find the index of packages that debootstrap downloaded')
  for (const paragraph of readFileSync(join(lists, index), 'utf8').split('\n\n')) {
    const field = (name: string): string => new RegExp(`^${name}: (.*)$`, 'mu').exec(paragraph)?.[1] ?? ''
    const name = `${field('Package')}_${field('Version').replaceAll(':', '%3a')}_${field('Architecture')}.deb`
    if (!names.has(name)) continue
    const to = join(directory, field('Filename'))
    mkdirSync(dirname(to), {recursive: true})
    copyFileSync(join(archives, name), to)
  }
}

function call(cwd: string, command: string, ...words: readonly string[]): string {
  try {
    return execFileSync(command, words, {cwd, stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8'})
  } catch (error) {
    throw new BenchError('cannot make a local mirror', {cause: error})
  }
}
