// The name that a kernel module gives itself: `name=` in .modinfo of its ELF file, read with limits and nothing else.

/** Bytes of a file or of memory: exactly `length` of them, within `size`. */
export interface ModuleBytes {
  readonly size: number
  read(offset: number, length: number): Buffer
}

export const ELF_HEADER_BYTES = 64
const SECTION_BYTES = 64
/** Debian's largest modules have a few thousand sections, and .modinfo of a few KiB. */
const SECTIONS_MAX = 65_279
const NAMES_BYTES_MAX = 4 * 1024 * 1024
const MODINFO_BYTES_MAX = 1024 * 1024
/** 64-bit, little-endian, version 1. */
const IDENTIFICATION = Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
const ET_REL = 1
const SHT_NOBITS = 8
/** MODULE_NAME_LEN of include/linux/moduleparam.h, with its NUL. */
const NAME = /^[A-Za-z0-9_-]{1,55}$/

/** undefined for what is no module (ENOEXEC). With underscores, as the kernel writes it. */
export function moduleName(file: ModuleBytes, machine: number): string | undefined {
  if (file.size < ELF_HEADER_BYTES) return undefined
  const header = file.read(0, ELF_HEADER_BYTES)
  const isModule =
    header.subarray(0, IDENTIFICATION.length).equals(IDENTIFICATION) &&
    header.readUInt16LE(16) === ET_REL &&
    header.readUInt16LE(18) === machine &&
    header.readUInt16LE(58) === SECTION_BYTES
  if (!isModule) return undefined
  const modinfo = findModinfo(file, header)
  if (modinfo === undefined) return undefined
  const first = modinfo
    .toString('latin1')
    .split('\0')
    .find((entry) => entry.startsWith('name='))
  const name = first?.slice('name='.length)
  return name !== undefined && NAME.test(name) ? normalModuleName(name) : undefined
}

/** `-` and `_` are the same in names of modules. */
export function normalModuleName(name: string): string {
  return name.replaceAll('-', '_')
}

function findModinfo(file: ModuleBytes, header: Buffer): Buffer | undefined {
  const count = header.readUInt16LE(60)
  const table =
    count <= SECTIONS_MAX ? piece(file, header.readBigUInt64LE(40), BigInt(count * SECTION_BYTES)) : undefined
  if (table === undefined) return undefined
  const section = (index: number): Buffer => table.subarray(index * SECTION_BYTES, (index + 1) * SECTION_BYTES)
  const namesIndex = header.readUInt16LE(62)
  if (namesIndex >= count) return undefined
  const names = contents(file, section(namesIndex), NAMES_BYTES_MAX)
  if (names === undefined) return undefined
  for (let index = 0; index < count; index++) {
    const name = section(index).readUInt32LE(0)
    if (names.indexOf('.modinfo\0', name, 'latin1') === name) return contents(file, section(index), MODINFO_BYTES_MAX)
  }
  return undefined
}

function contents(file: ModuleBytes, section: Buffer, limit: number): Buffer | undefined {
  const size = section.readBigUInt64LE(32)
  if (section.readUInt32LE(4) === SHT_NOBITS || size > BigInt(limit)) return undefined
  return piece(file, section.readBigUInt64LE(24), size)
}

function piece(file: ModuleBytes, offset: bigint, length: bigint): Buffer | undefined {
  return offset + length <= BigInt(file.size) ? file.read(Number(offset), Number(length)) : undefined
}
