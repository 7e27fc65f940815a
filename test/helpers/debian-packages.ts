// Single packages of Debian's mirror, of any suite, for programs that this machine's own Debian has in another version.

import {execFileSync} from 'node:child_process'
import {createHash} from 'node:crypto'
import {writeFileSync} from 'node:fs'
import {join} from 'node:path'

const MIRROR = process.env['DEBIAN_MIRROR'] ?? 'http://deb.debian.org/debian'
const ARCHITECTURE = process.arch === 'arm64' ? 'arm64' : 'amd64'
const BYTES_MAX = 1 << 28

/** Unpacks the first package whose name matches into `directory`; false where the mirror does not give it. */
export function unpackPackage(directory: string, suite: string, name: RegExp, component = 'main'): boolean {
  try {
    const index = fetch(`dists/${suite}/${component}/binary-${ARCHITECTURE}/Packages.xz`)
    const text = execFileSync('xz', ['-dc'], {input: index, maxBuffer: BYTES_MAX}).toString()
    const field = (entry: string, key: string) => new RegExp(`^${key}: (.*)$`, 'mu').exec(entry)?.[1] ?? ''
    const entry = text.split('\n\n').find((paragraph) => name.test(field(paragraph, 'Package')))
    if (entry === undefined) return false
    const file = fetch(field(entry, 'Filename'))
    if (createHash('sha256').update(file).digest('hex') !== field(entry, 'SHA256')) return false
    const archive = join(directory, '.package.deb')
    writeFileSync(archive, file)
    execFileSync('dpkg-deb', ['-x', archive, directory])
    return true
  } catch {
    return false
  }
}

function fetch(path: string): Buffer {
  const words = ['-q', '-O', '-', '--timeout=20', '--tries=2', `${MIRROR}/${path}`]
  return execFileSync('wget', words, {maxBuffer: BYTES_MAX})
}
