// A directory tree as an archive, entry by entry, with owners, nodes and attributes as the container has them.

import {closeSync, constants, fstatSync, openSync, readSync, readlinkSync} from 'node:fs'
import type {BigIntStats} from 'node:fs'

import {LaunchError} from '../../errors.js'
import {SystemError} from '../../ffi/errors.js'
import {lseek} from '../../ffi/libc.js'
import {OVERRIDE_STAT, parseOverrideStat} from '../../intercept/records.js'
import type {RecordedNode} from '../../intercept/records.js'
import {PERMISSIONS} from '../../kernel/constants.js'
import {formatDevice, sameDevice, splitDevice} from '../../kernel/device-numbers.js'
import type {Device} from '../../kernel/device-numbers.js'
import {ERRNO} from '../../kernel/errno.js'
import {attributeRecords, readAttributes} from './attributes.js'
import type {Attribute, AttributeOptions, ExportIds} from './attributes.js'
import type {ExportOutput} from './output.js'
import {BLOCK, endOfArchive, headerBlocks, padding} from './tar-format.js'
import type {PaxRecord, TarEntry, TarType} from './tar-format.js'
import {exporting, walk} from './walk.js'
import type {WalkEntry} from './walk.js'

export interface ExportOptions {
  readonly ids: ExportIds
  /** Recorded nodes of other devices stay the empty files that they are. */
  readonly devices: readonly Device[]
  /** Names of the trusted attributes that belong in the archive. */
  readonly trusted: ReadonlySet<string>
}

const {O_NOFOLLOW, O_NONBLOCK, O_RDONLY} = constants
const SEEK_DATA = 3
const SEEK_HOLE = 4
/** Files with smaller holes are written whole, which every reader understands. */
const HOLES_MIN = 1 << 20
const CHUNK = 1 << 20
/** Names of attributes in a line for the person. */
const NAMES_SHOWN = 5
const NANOSECONDS = 1_000_000_000n
/** Between two looks at signals. */
const ENTRIES_AT_ONCE = 200

/** `root` is a descriptor of the directory. Nobody else may be at work in the tree. Resolves to lines for the person. */
export async function exportTree(
  root: number,
  output: ExportOutput,
  options: ExportOptions,
): Promise<readonly string[]> {
  const tree = new TreeWriter(root, output, options)
  await tree.run()
  return tree.notes
}

/** What is left out, or is not what it seems. */
interface Counts {
  sockets: number
  mounts: number
  readonly devices: Set<string>
  readonly attributes: Set<string>
}

class TreeWriter {
  readonly #root: number
  readonly #output: ExportOutput
  readonly #options: ExportOptions
  readonly #links = new Map<string, Buffer>()
  readonly #counts: Counts = {sockets: 0, mounts: 0, devices: new Set(), attributes: new Set()}
  readonly #content = Buffer.allocUnsafe(CHUNK)
  #device = 0n
  #own: {readonly dev: bigint; readonly ino: bigint} | undefined
  #entries = 0

  constructor(root: number, output: ExportOutput, options: ExportOptions) {
    this.#root = root
    this.#output = output
    this.#options = options
  }

  get notes(): readonly string[] {
    const {sockets, mounts, devices, attributes} = this.#counts
    const flags = [...devices].map((device) => `--mknod-allow ${device}`)
    const names = [...attributes].slice(0, NAMES_SHOWN).map((name) => `--setxattr-allow ${name}`)
    return [
      ...(sockets > 0 ? [`${sockets} sockets are not in the archive, which can't hold any`] : []),
      ...(mounts > 0 ? [`${mounts} mount points are empty in the archive: what is mounted there is not exported`] : []),
      ...(flags.length > 0
        ? [
            `recorded device nodes that are not allowlisted are empty files in the archive; ${flags.join(' ')} exports them`,
          ]
        : []),
      ...(names.length > 0
        ? [`trusted attributes that are not allowlisted are not in the archive; ${names.join(' ')} exports them`]
        : []),
    ]
  }

  #attributeOptions(isNode: boolean): AttributeOptions {
    const isWanted = (name: string): boolean => {
      if (this.#options.trusted.has(name)) return true
      if (this.#counts.attributes.size < NAMES_SHOWN) this.#counts.attributes.add(name)
      return false
    }
    return {ids: this.#options.ids, isNode, isWanted}
  }

  async run(): Promise<void> {
    this.#own = this.#output.begin()
    this.#device = fstatSync(this.#root, {bigint: true}).dev
    for (const entry of walk(this.#root, ({status}) => status.dev === this.#device)) {
      exporting(entry.path, () => this.#entry(entry))
      // A person may want to end this: signals are seen between two turns of the event loop.
      if (++this.#entries % ENTRIES_AT_ONCE === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    this.#output.write(endOfArchive(this.#output.written))
    this.#output.finish()
  }

  #entry({at, path, status}: WalkEntry): void {
    if (status.dev === this.#own?.dev && status.ino === this.#own.ino) return
    if (status.isDirectory()) {
      this.#header(path, {type: 'Directory', size: 0}, status, at)
      if (status.dev !== this.#device) this.#counts.mounts++
      return
    }
    if (status.isSocket()) {
      this.#counts.sockets++
      return
    }
    if (this.#isLink(path, status, at)) return
    if (status.isFile()) this.#file(at, path, status)
    else if (status.isSymbolicLink()) {
      const link = readlinkSync(at, {encoding: 'buffer'})
      this.#header(path, {type: 'SymbolicLink', size: 0, link}, status, at)
    } else if (status.isFIFO()) this.#header(path, {type: 'FIFO', size: 0}, status, at)
    else {
      const type = status.isBlockDevice() ? 'BlockDevice' : 'CharacterDevice'
      this.#header(path, {type, size: 0, ...splitDevice(status.rdev)}, status, at)
    }
  }

  /** A further name of a file that is in the archive already. */
  #isLink(path: Buffer, status: BigIntStats, at: Buffer): boolean {
    if (status.nlink < 2n) return false
    const key = `${status.dev}:${status.ino}`
    const link = this.#links.get(key)
    if (link === undefined) {
      this.#links.set(key, path)
      return false
    }
    const recorded = status.isFile() && status.size === 0n ? this.#recorded(readAttributes(at)) : undefined
    const {mode, uid, gid} = this.#owner(status)
    this.#write({...entryOf(path, status), mode, uid, gid, ...recorded, type: 'Link', size: 0, link})
    return true
  }

  #file(at: Buffer, path: Buffer, status: BigIntStats): void {
    const attributes = readAttributes(at)
    const recorded = status.size === 0n ? this.#recorded(attributes) : undefined
    if (recorded !== undefined) {
      const {device, mode, uid, gid} = recorded
      const type = device.type === 'b' ? 'BlockDevice' : 'CharacterDevice'
      const records = attributeRecords(attributes, this.#attributeOptions(true))
      const {major, minor} = device
      this.#write({...entryOf(path, status), type, size: 0, mode, uid, gid, major, minor, records})
      return
    }
    const fd = openSync(at, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
    try {
      this.#contents(fd, path, status, attributes)
    } finally {
      closeSync(fd)
    }
  }

  #contents(fd: number, path: Buffer, status: BigIntStats, attributes: readonly Attribute[]): void {
    const size = Number(status.size)
    const records = attributeRecords(attributes, this.#attributeOptions(false))
    const owner = this.#owner(status)
    const extents = size - Number(status.blocks) * BLOCK >= HOLES_MIN ? dataExtents(fd, size) : undefined
    if (extents === undefined) {
      this.#write({...entryOf(path, status), ...owner, type: 'File', size, records})
      this.#copy(fd, 0, size)
      this.#output.write(padding(size))
      return
    }
    const map = sparseMap(extents, size)
    const stored = map.length + extents.reduce((sum, {length}) => sum + length, 0)
    this.#write({
      ...entryOf(Buffer.concat([Buffer.from('./GNUSparseFile.0/'), path.subarray(2)]), status),
      ...owner,
      type: 'File',
      size: stored,
      records: [...sparseRecords(path, size), ...records],
    })
    this.#output.write(map)
    for (const {start, length} of extents) this.#copy(fd, start, length)
    this.#output.write(padding(stored))
  }

  #copy(fd: number, start: number, length: number): void {
    const end = start + length
    for (let position = start; position < end;) {
      const count = readSync(fd, this.#content, 0, Math.min(CHUNK, end - position), position)
      if (count === 0) throw new LaunchError('cannot export the tree: somebody is changing a file in it')
      this.#output.write(this.#content.subarray(0, count))
      position += count
    }
  }

  #header(
    path: Buffer,
    what: {
      readonly type: TarType
      readonly size: number
      readonly link?: Buffer
      readonly major?: number
      readonly minor?: number
    },
    status: BigIntStats,
    at: Buffer,
  ): void {
    const records = attributeRecords(readAttributes(at), this.#attributeOptions(false))
    this.#write({...entryOf(path, status), ...this.#owner(status), ...what, records})
  }

  #write(entry: TarEntry): void {
    this.#output.write(headerBlocks(entry))
  }

  #owner({mode, uid, gid}: BigIntStats): {readonly mode: number; readonly uid: number; readonly gid: number} {
    const {ids} = this.#options
    return {mode: Number(mode) & PERMISSIONS, uid: ids.uid(Number(uid)), gid: ids.gid(Number(gid))}
  }

  /** The container can have written any such attribute: it stands for a device only where that is allowlisted. */
  #recorded(attributes: readonly Attribute[]): RecordedNode | undefined {
    const attribute = attributes.find(({name}) => name.equals(Buffer.from(OVERRIDE_STAT)))
    const recorded = attribute && parseOverrideStat(attribute.value.toString('latin1'))
    if (recorded === undefined) return undefined
    if (this.#options.devices.some((device) => sameDevice(device, recorded.device))) return recorded
    this.#counts.devices.add(formatDevice(recorded.device))
    return undefined
  }
}

function entryOf(path: Buffer, {mtimeNs}: BigIntStats): {readonly path: Buffer; readonly mtime: number} {
  // Towards the past, as tar does; division of bigints cuts towards zero.
  const seconds = mtimeNs / NANOSECONDS - (mtimeNs < 0n && mtimeNs % NANOSECONDS !== 0n ? 1n : 0n)
  return {path, mtime: Number(seconds)}
}

interface Extent {
  readonly start: number
  readonly length: number
}

/** Where a file has data, by lseek(2); undefined where the file system can't tell. */
export function dataExtents(fd: number, size: number): readonly Extent[] | undefined {
  const extents: Extent[] = []
  try {
    for (let position = 0; position < size;) {
      const start = lseek(fd, position, SEEK_DATA)
      const end = Math.min(lseek(fd, start, SEEK_HOLE), size)
      if (start >= end) break
      extents.push({start, length: end - start})
      position = end
    }
  } catch (error) {
    if (!(error instanceof SystemError)) throw error
    // The rest is a hole.
    if (error.errno === ERRNO.ENXIO) return extents
    if (error.errno === ERRNO.EINVAL) return undefined
    throw error
  }
  return extents
}

/** GNU tar's sparse format 1.0: decimal numbers in front of the data, filled up to a whole block. */
function sparseMap(extents: readonly Extent[], size: number): Buffer {
  const all = [...extents.map(({start, length}) => [start, length]), [size, 0]]
  const text = Buffer.from([all.length, ...all.flat()].map((number) => `${number}\n`).join(''))
  return Buffer.concat([text, padding(text.length)])
}

function sparseRecords(path: Buffer, size: number): readonly PaxRecord[] {
  return [
    {key: 'GNU.sparse.major', value: '1'},
    {key: 'GNU.sparse.minor', value: '0'},
    {key: 'GNU.sparse.name', value: path},
    {key: 'GNU.sparse.realsize', value: String(size)},
  ]
}
