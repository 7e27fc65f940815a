// One entry of a pax archive as bytes. Header blocks are the tar package's; extended records are written here, because
// names and attributes are bytes and need not be UTF-8.

import {Header} from 'tar/header'

import {PERMISSIONS} from '../../kernel/constants.js'

export type TarType =
  'BlockDevice' | 'CharacterDevice' | 'Directory' | 'ExtendedHeader' | 'FIFO' | 'File' | 'Link' | 'SymbolicLink'

export interface TarEntry {
  /** Relative; directories need no slash at the end. */
  readonly path: Buffer
  readonly type: TarType
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Bytes of content in the archive. */
  readonly size: number
  /** Seconds since the epoch. */
  readonly mtime: number
  readonly major?: number
  readonly minor?: number
  /** Of links: what symlinks say, or the path of the first name of a file. */
  readonly link?: Buffer
  /** Further extended records, in order. */
  readonly records?: readonly PaxRecord[]
}

export interface PaxRecord {
  readonly key: Buffer | string
  readonly value: Buffer | string
}

export const BLOCK = 512
const NAME_BYTES = 100
/** Prefix, slash and name of a header block; what is longer never fits in, and the search for a slash takes long. */
const HEADER_PATH_BYTES = 256
const OCTAL_ID_MAX = 0o7777777
const OCTAL_SIZE_MAX = 0o77777777777
const ZEROS = Buffer.alloc(BLOCK)

/** The blocks before the content. */
export function headerBlocks(entry: TarEntry): Buffer {
  const path = entry.type === 'Directory' ? withSlash(entry.path) : entry.path
  const records = [...ownRecords(entry, path), ...(entry.records ?? [])]
  const header = block({...entry, path})
  if (records.length === 0) return header
  const body = Buffer.concat(records.map(record))
  const name = Buffer.from(`PaxHeaders/${plain(entry.path).split('/').at(-1) ?? ''}`.slice(0, NAME_BYTES - 1))
  const extended: TarEntry = {
    path: name,
    type: 'ExtendedHeader',
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: body.length,
    mtime: 0,
  }
  return Buffer.concat([block(extended), body, padding(body.length), header])
}

/** What fills the last block of `size` bytes. */
export function padding(size: number): Buffer {
  const rest = size % BLOCK
  return rest === 0 ? ZEROS.subarray(0, 0) : ZEROS.subarray(rest)
}

/** Two empty blocks, and as many more as make a record of 20 blocks, which tape readers want. */
export function endOfArchive(written: number): Buffer {
  const record = 20 * BLOCK
  const size = 2 * BLOCK
  return Buffer.alloc(size + ((record - ((written + size) % record)) % record))
}

/** What the header block can't say. */
function ownRecords({uid, gid, size, mtime, link}: TarEntry, path: Buffer): readonly PaxRecord[] {
  const records: PaxRecord[] = []
  const names = [path, ...(link === undefined ? [] : [link])]
  // pax(1): without this record names are UTF-8.
  if (names.some((name) => !isUtf8(name))) records.push({key: 'hdrcharset', value: 'BINARY'})
  if (!fits(path)) records.push({key: 'path', value: path})
  if (link !== undefined && !fits(link)) records.push({key: 'linkpath', value: link})
  if (size > OCTAL_SIZE_MAX) records.push({key: 'size', value: String(size)})
  if (uid > OCTAL_ID_MAX) records.push({key: 'uid', value: String(uid)})
  if (gid > OCTAL_ID_MAX) records.push({key: 'gid', value: String(gid)})
  if (mtime < 0 || mtime > OCTAL_SIZE_MAX) records.push({key: 'mtime', value: String(mtime)})
  return records
}

function block({path, type, mode, uid, gid, size, mtime, major = 0, minor = 0, link}: TarEntry): Buffer {
  const bytes = Buffer.alloc(BLOCK)
  const header = new Header({
    path: plain(path.length > HEADER_PATH_BYTES ? path.subarray(0, NAME_BYTES - 1) : path),
    type,
    mode: mode & PERMISSIONS,
    uid: Math.min(uid, OCTAL_ID_MAX),
    gid: Math.min(gid, OCTAL_ID_MAX),
    // Above eight gigabytes this is written in base 256, beside the record.
    size,
    mtime: new Date(Math.min(Math.max(mtime, 0), OCTAL_SIZE_MAX) * 1000),
    devmaj: major,
    devmin: minor,
    uname: '',
    gname: '',
    ...(link === undefined ? {} : {linkpath: plain(link).slice(0, NAME_BYTES)}),
  })
  header.encode(bytes, 0)
  return bytes
}

/** `LENGTH KEY=VALUE\n`, where LENGTH counts itself too. */
function record({key, value}: PaxRecord): Buffer {
  const rest = Buffer.concat([Buffer.from(' '), bytesOf(key), Buffer.from('='), bytesOf(value), Buffer.from('\n')])
  let length = rest.length
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length
  return Buffer.concat([Buffer.from(String(length)), rest])
}

function fits(name: Buffer): boolean {
  return name.length < NAME_BYTES && name.every((byte) => byte >= 0x20 && byte < 0x7f)
}

/** For the header block, where a record tells the real name. */
function plain(name: Buffer): string {
  return name.toString('latin1').replace(/[^ -~]/g, '_')
}

function withSlash(path: Buffer): Buffer {
  return path.at(-1) === 0x2f ? path : Buffer.concat([path, Buffer.from('/')])
}

function isUtf8(bytes: Buffer): boolean {
  return Buffer.from(bytes.toString('utf8')).equals(bytes)
}

function bytesOf(text: Buffer | string): Buffer {
  return typeof text === 'string' ? Buffer.from(text) : text
}
