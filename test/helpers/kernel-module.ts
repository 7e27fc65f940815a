// Kernel modules for tests: a real one from Debian's installer, which comes in small packages, and ones made here.

import {readFileSync, readdirSync} from 'node:fs'
import {join} from 'node:path'

import {unpackPackage} from './debian-packages.js'
import {SUITE} from './debian.js'

/** crc32-pclmul.ko of the suite's kernel, unpacked below `directory`; undefined where the mirror has none. */
export function debianModule(directory: string): Buffer | undefined {
  const name = /^crc-modules-\S+-amd64-di$/u
  if (!unpackPackage(directory, SUITE, name, 'main/debian-installer')) return undefined
  const files = readdirSync(directory, {recursive: true, encoding: 'utf8'})
  const file = files.find((path) => path.endsWith('/crc32-pclmul.ko'))
  return file === undefined ? undefined : readFileSync(join(directory, file))
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
