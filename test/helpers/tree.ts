// Compares two directory trees entry by entry, by everything that stat, readlink, the content and getfattr tell.

import {createHash} from 'node:crypto'
import {lstatSync, readFileSync, readdirSync, readlinkSync} from 'node:fs'

import {hasProgram, succeed} from './program.js'

export interface Entry {
  readonly type: string
  readonly mode: string
  readonly owner: string
  /** Of device nodes, `major:minor`. */
  readonly device?: string
  readonly target?: string
  readonly links?: number
  readonly size?: number
  readonly sha256?: string
  readonly attributes?: string
}

/** What may differ at the paths that a pattern matches (paths are relative, without a leading slash), and why. */
export interface Exception {
  readonly path: RegExp
  readonly members: readonly (keyof Entry)[] | 'all'
  readonly why: string
}

const TYPES: Readonly<Record<number, string>> = {
  0o010000: 'fifo',
  0o020000: 'character device',
  0o040000: 'directory',
  0o060000: 'block device',
  0o100000: 'file',
  0o120000: 'symlink',
  0o140000: 'socket',
}

/** Every entry below `root` by its relative path; `.` is the root itself. Names that are not UTF-8 appear as latin1. */
export function readTree(root: string): ReadonlyMap<string, Entry> {
  const attributes = readAttributes(root)
  const entries = new Map<string, Entry>()
  const visit = (path: Buffer, name: string): void => {
    const entry = readEntry(path)
    const own = attributes.get(name)
    entries.set(name, own === undefined ? entry : {...entry, attributes: own})
    if (entry.type !== 'directory') return
    const children = readdirSync(path, {encoding: 'buffer'}).sort((a, b) => Buffer.compare(a, b))
    for (const child of children) {
      const childName = child.toString('latin1')
      visit(Buffer.concat([path, Buffer.from('/'), child]), name === '.' ? childName : `${name}/${childName}`)
    }
  }
  visit(Buffer.from(root), '.')
  return entries
}

/** One line for each difference that no exception allows; empty where the trees are the same. */
export function compareTrees(
  expected: ReadonlyMap<string, Entry>,
  actual: ReadonlyMap<string, Entry>,
  exceptions: readonly Exception[] = [],
): readonly string[] {
  const differences: string[] = []
  const allowed = (path: string, member: keyof Entry | 'presence'): boolean =>
    exceptions.some(
      (exception) =>
        exception.path.test(path) &&
        (exception.members === 'all' || (member !== 'presence' && exception.members.includes(member))),
    )

  for (const path of [...new Set([...expected.keys(), ...actual.keys()])].sort()) {
    const [wanted, got] = [expected.get(path), actual.get(path)]
    if (wanted === undefined || got === undefined) {
      if (!allowed(path, 'presence')) differences.push(`${path}: ${wanted === undefined ? 'is extra' : 'is missing'}`)
      continue
    }
    const members = new Set([...Object.keys(wanted), ...Object.keys(got)]) as Set<keyof Entry>
    for (const member of members) {
      if (wanted[member] === got[member] || allowed(path, member)) continue
      differences.push(`${path}: ${member} is ${got[member] ?? 'none'}, not ${wanted[member] ?? 'none'}`)
    }
  }
  return differences
}

function readEntry(path: Buffer): Entry {
  const stat = lstatSync(path)
  const type = TYPES[stat.mode & 0o170000] ?? 'unknown'
  const common = {type, mode: (stat.mode & 0o7777).toString(8), owner: `${stat.uid}:${stat.gid}`}
  if (type === 'symlink') return {...common, target: readlinkSync(path, {encoding: 'latin1'})}
  if (type === 'character device' || type === 'block device') return {...common, device: deviceNumbers(stat.rdev)}
  if (type !== 'file') return common
  const sha256 = createHash('sha256').update(readFileSync(path)).digest('hex')
  return {...common, links: stat.nlink, size: stat.size, sha256}
}

/** glibc's gnu_dev_major and gnu_dev_minor; the number may be above 32 bits. */
function deviceNumbers(rdev: number): string {
  const device = BigInt(rdev)
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn)
  const minor = (device & 0xffn) | ((device >> 12n) & ~0xffn)
  return `${major}:${minor}`
}

/** All extended attributes below `root`, `name=0xvalue` joined by spaces. */
function readAttributes(root: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  if (!hasProgram('getfattr')) return found
  const output = succeed({cwd: root}, 'getfattr', '-R', '-P', '-h', '-d', '-m', '-', '-e', 'hex', '.')
  for (const block of output.split('\n\n')) {
    const [heading, ...lines] = block.split('\n').filter((line) => line !== '')
    if (heading === undefined) continue
    // getfattr writes odd characters as \NNN.
    const name = heading
      .replace(/^# file: /u, '')
      .replace(/\\([0-7]{3})/gu, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)))
    found.set(name, lines.sort().join(' '))
  }
  return found
}
