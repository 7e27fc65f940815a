// Packages of a Debian suite, unpacked without being installed: programs of another release than this machine's.

import {mkdirSync, symlinkSync} from 'node:fs'
import {basename, join} from 'node:path'

import {succeed} from './program.js'

const MIRROR = process.env['DEBIAN_MIRROR'] ?? 'http://deb.debian.org/debian'
const ARCHITECTURE = process.arch === 'x64' ? 'amd64' : 'arm64'
const PACKAGES_MAX = 40

interface Package {
  readonly file: string
  readonly needs: readonly string[]
}

/** `names` and what they depend on, as a root that can be entered. */
export function unpackPackages(suite: string, names: readonly string[], directory: string, root: string): void {
  const index = readIndex(suite, directory)
  const packages = closure(names, index)
  mkdirSync(root)
  const fetch = packages.map(({file}) => `${MIRROR}/${file}`)
  succeed({cwd: directory, timeoutMs: 120_000}, 'wget', '-q', '--timeout=20', '--tries=3', ...fetch)
  for (const {file} of packages) succeed({cwd: directory}, 'dpkg-deb', '-x', basename(file), root)
  for (const name of ['bin', 'lib', 'lib64', 'sbin']) {
    mkdirSync(join(root, 'usr', name), {recursive: true})
    symlinkSync(`usr/${name}`, join(root, name))
  }
  for (const name of ['mnt', 'proc', 'dev', 'sys', 'tmp', 'run']) mkdirSync(join(root, name), {recursive: true})
}

function readIndex(suite: string, directory: string): ReadonlyMap<string, Package> {
  const url = `${MIRROR}/dists/${suite}/main/binary-${ARCHITECTURE}/Packages.xz`
  succeed({cwd: directory, timeoutMs: 120_000}, 'wget', '-q', '--timeout=20', '--tries=3', '-O', 'Packages.xz', url)
  const text = succeed({cwd: directory}, 'xz', '-dc', 'Packages.xz')
  return new Map(text.split('\n\n').flatMap(parse))
}

function parse(paragraph: string): [string, Package][] {
  const field = (name: string): string | undefined => new RegExp(`^${name}: (.*)$`, 'm').exec(paragraph)?.[1]
  const [name, file] = [field('Package'), field('Filename')]
  if (name === undefined || file === undefined) return []
  const depends = [field('Pre-Depends'), field('Depends')].flatMap((list) => list?.split(', ') ?? [])
  // The first of alternatives, without its version.
  return [[name, {file, needs: depends.map((one) => one.replace(/[ :(|].*$/u, ''))}]]
}

function closure(names: readonly string[], index: ReadonlyMap<string, Package>): readonly Package[] {
  const found = new Map<string, Package>()
  const todo = [...names]
  for (let name = todo.shift(); name !== undefined; name = todo.shift()) {
    const one = index.get(name)
    // What is virtual is not needed to run a program.
    if (one === undefined || found.has(name) || found.size >= PACKAGES_MAX) continue
    found.set(name, one)
    todo.push(...one.needs)
  }
  return [...found.values()]
}
