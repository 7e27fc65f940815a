// Kernel modules for tests: a real one from Debian's installer, which comes in small packages, and ones made here.

import {execFileSync} from 'node:child_process'
import {createHash} from 'node:crypto'
import {writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {SUITE} from './debian.js'

const MIRROR = process.env['DEBIAN_MIRROR'] ?? 'http://deb.debian.org/debian'
const MEMBER = /^\S*\/crc32-pclmul\.ko$/u

/** Fetches and unpacks crc32-pclmul.ko of the suite's kernel into `directory`; undefined where the mirror has none. */
export function debianModule(directory: string): Buffer | undefined {
  try {
    const index = fetch(`dists/${SUITE}/main/debian-installer/binary-amd64/Packages.xz`)
    const text = execFileSync('xz', ['-dc'], {input: index, maxBuffer: 1 << 26}).toString()
    const entry = text.split('\n\n').find((paragraph) => /^Package: crc-modules-\S+-amd64-di$/mu.test(paragraph))
    const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'mu').exec(entry ?? '')?.[1] ?? ''
    const file = fetch(field('Filename'))
    if (createHash('sha256').update(file).digest('hex') !== field('SHA256')) return undefined
    const udeb = join(directory, 'modules.udeb')
    writeFileSync(udeb, file)
    const archive = execFileSync('dpkg-deb', ['--fsys-tarfile', udeb], {maxBuffer: 1 << 26})
    const members = execFileSync('tar', ['-t'], {input: archive, encoding: 'utf8'}).split('\n')
    const member = members.find((name) => MEMBER.test(name))
    return member === undefined ? undefined : execFileSync('tar', ['-xO', member], {input: archive, maxBuffer: 1 << 26})
  } catch {
    return undefined
  }
}

function fetch(path: string): Buffer {
  return execFileSync('wget', ['-q', '-O', '-', '--timeout=20', '--tries=2', `${MIRROR}/${path}`], {maxBuffer: 1 << 26})
}

export interface MadeModule {
  readonly modinfo?: string
  readonly machine?: number
  /** Changes bytes of the finished file. */
  readonly spoil?: (file: Buffer) => void
}

export const MACHINE = process.arch === 'arm64' ? 183 : 62

/** The least ELF file that has a .modinfo: header, two sections' contents, three section headers. */
export function madeModule(name: string, {modinfo, machine = MACHINE, spoil}: MadeModule = {}): Buffer {
  const info = Buffer.from(modinfo ?? `license=GPL\0name=${name}\0`)
  const names = Buffer.from('\0.modinfo\0.shstrtab\0')
  const table = 64 + info.length + names.length
  const header = Buffer.alloc(64)
  Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]).copy(header)
  header.writeUInt16LE(1, 16)
  header.writeUInt16LE(machine, 18)
  header.writeBigUInt64LE(BigInt(table), 40)
  header.writeUInt16LE(64, 58)
  header.writeUInt16LE(3, 60)
  header.writeUInt16LE(2, 62)
  const section = (nameAt: number, offset: number, size: number) => {
    const bytes = Buffer.alloc(64)
    bytes.writeUInt32LE(nameAt, 0)
    bytes.writeUInt32LE(1, 4)
    bytes.writeBigUInt64LE(BigInt(offset), 24)
    bytes.writeBigUInt64LE(BigInt(size), 32)
    return bytes
  }
  const sections = [Buffer.alloc(64), section(1, 64, info.length), section(10, 64 + info.length, names.length)]
  const file = Buffer.concat([header, info, names, ...sections])
  spoil?.(file)
  return file
}
