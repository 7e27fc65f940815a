// What debootstrap tests share: the suite, the mirror, and what two runs of it never have in common.

import {programIn} from './program.js'
import type {Exception} from './tree.js'

export const SUITE = 'bookworm'
/** Set by scripts/test.mjs to the mirror of this machine's apt. */
const MIRROR = process.env['DEBIAN_MIRROR'] ?? 'http://deb.debian.org/debian'

/** The command line but for its last words, SUITE, directory and mirror. */
export function debootstrap(cache: string, directory: string): readonly string[] {
  return ['debootstrap', '--variant=minbase', `--cache-dir=${cache}`, SUITE, directory, MIRROR]
}

/** wget, because debootstrap uses it too, with the same proxies. */
export function mirrorAnswers(): boolean {
  const url = `${MIRROR}/dists/${SUITE}/InRelease`
  return programIn({}, 'wget', '-q', '--spider', '--timeout=20', '--tries=2', url).status === 0
}

export const DIFFERS_BETWEEN_RUNS: readonly Exception[] = [
  {path: /^var\/log\/(.*\.log|apt\/.*)$/u, members: ['sha256', 'size'], why: 'logs hold times'},
  {path: /^var\/cache\/ldconfig\/aux-cache$/u, members: ['sha256', 'size'], why: 'holds inode numbers and times'},
  {path: /^etc\/shadow-?$/u, members: ['sha256'], why: 'holds the day of the last change, and midnight may pass'},
]
