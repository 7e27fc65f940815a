// --manifest: what was emulated and is still there at the end, so that an image can be packed with what a bind mount or
// a placeholder can't keep.

import {randomBytes} from 'node:crypto'
import {accessSync, closeSync, constants, fstatSync} from 'node:fs'
import type {FileHandle} from 'node:fs/promises'
import {open, rename, unlink} from 'node:fs/promises'

import {LaunchError} from '../errors.js'
import {openNamedFile, pathOf} from '../host/open.js'
import type {ManifestEntry} from '../intercept/family.js'
import {toJson} from './json.js'
import {printable} from './printable.js'

/** A container that makes and removes nodes for ever must not fill our memory: room for 100,000 nodes or so. */
const BYTES_MAX = 64 * 1024 * 1024
/** What an entry takes beside its byte strings and its key. */
const ENTRY_BYTES = 600

/**
 * What is there, by kind, path and attribute name. Families tell the end of an object in the same way as its making,
 * with a member more: `removed: true`, or `movedTo` with the new path; `exchanged: true` when the two changed places.
 */
export class Inventory {
  readonly #entries = new Map<string, ManifestEntry>()
  readonly #limit: number
  #bytes = 0
  #leftOut = 0

  constructor(limit = BYTES_MAX) {
    this.#limit = limit
  }

  /** Objects that it had no room for. */
  get leftOut(): number {
    return this.#leftOut
  }

  add(entry: ManifestEntry): void {
    const {movedTo, removed, exchanged, ...plain} = entry as ManifestEntry & {
      readonly exchanged?: unknown
      readonly movedTo?: unknown
      readonly removed?: unknown
    }
    const key = keyOf(entry)
    const known = this.#entries.get(key)
    if (known !== undefined) {
      this.#entries.delete(key)
      this.#bytes -= bytesOf(key, known)
    }
    if (removed === true) return
    if (movedTo instanceof Uint8Array) {
      const there = {...entry, path: Buffer.from(movedTo)}
      const other = exchanged === true ? this.#entries.get(keyOf(there)) : undefined
      if (known !== undefined) this.add({...known, path: there.path})
      if (other !== undefined) this.add({...other, path: entry.path})
    } else this.#keep(key, plain)
  }

  #keep(key: string, entry: ManifestEntry): void {
    const bytes = bytesOf(key, entry)
    if (this.#bytes + bytes > this.#limit) {
      this.#leftOut += 1
      return
    }
    this.#bytes += bytes
    const members = Object.entries(entry).map(([name, value]) => [name, ownCopy(value)])
    this.#entries.set(key, Object.fromEntries(members) as ManifestEntry)
  }

  get entries(): readonly ManifestEntry[] {
    return [...this.#entries.values()]
  }
}

export function manifestText(entries: readonly ManifestEntry[], leftOut = 0): string {
  const missing = leftOut === 0 ? {} : {left_out: leftOut}
  return `${JSON.stringify({v: 1, ...missing, entries: entries.map(toJson)}, null, 2)}\n`
}

/** A file that will be replaced in one step, in a directory that was opened before the container could touch the path. */
export class ManifestFile {
  readonly #directory: FileHandle
  readonly #name: Buffer
  readonly #shown: string

  private constructor(directory: FileHandle, name: Buffer, shown: string) {
    this.#directory = directory
    this.#name = name
    this.#shown = shown
  }

  /** Before anything is launched, so that a mistake costs no build. */
  static async open(path: Buffer): Promise<ManifestFile> {
    const shown = printable(path.toString())
    const {directory, existing, name} = openNamedFile('manifest', path)
    try {
      const stats = existing === undefined ? undefined : fstatSync(existing)
      if (stats?.isFile() === false) {
        const kind = stats.isDirectory() ? 'a directory' : 'no regular file'
        throw new LaunchError(`cannot write the manifest ${shown}: it is ${kind}`)
      }
      accessSync(pathOf(directory), constants.W_OK)
      const {O_DIRECTORY, O_RDONLY} = constants
      return new ManifestFile(await open(pathOf(directory), O_RDONLY | O_DIRECTORY), Buffer.from(name), shown)
    } catch (cause) {
      if (cause instanceof LaunchError) throw cause
      throw new LaunchError(`cannot write the manifest ${shown}`, {cause})
    } finally {
      closeSync(directory)
      if (existing !== undefined) closeSync(existing)
    }
  }

  /** Writes and closes. A symbolic link that stands at the name by now is replaced, not followed. */
  async replace(text: string): Promise<void> {
    const temporary = this.#at(Buffer.from(`.interceptor-${randomBytes(8).toString('hex')}`))
    try {
      const file = await open(temporary, 'wx', 0o644)
      try {
        await file.writeFile(text)
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(temporary, this.#at(this.#name))
    } catch (cause) {
      await unlink(temporary).catch(() => undefined)
      throw new LaunchError(`cannot write the manifest ${this.#shown}`, {cause})
    } finally {
      await this.#directory.close()
    }
  }

  #at(name: Buffer): Buffer {
    return pathOf(this.#directory.fd, name)
  }
}

function keyOf(entry: ManifestEntry): string {
  const name = typeof entry['name'] === 'string' ? entry['name'] : toJson(entry['name'] ?? null)
  return `${entry.kind}\0${Buffer.from(entry.path).toString('latin1')}\0${JSON.stringify(name)}`
}

function bytesOf(key: string, entry: ManifestEntry): number {
  const lengths = Object.values(entry).map((value) =>
    typeof value === 'string' || value instanceof Uint8Array ? value.length : 0,
  )
  return lengths.reduce((sum, length) => sum + length, ENTRY_BYTES + key.length)
}

/** Small buffers lie in a pool of Node's, which they would keep as a whole. */
function ownCopy(value: unknown): unknown {
  if (!(value instanceof Uint8Array)) return value
  const copy = Buffer.from(new ArrayBuffer(value.length))
  copy.set(value)
  return copy
}
