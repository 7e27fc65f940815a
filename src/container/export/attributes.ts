// Extended attributes of one file as records of a pax archive, in the words that GNU tar, bsdtar and containers read.

import {SystemError} from '../../ffi/errors.js'
import {lgetxattr, llistxattr} from '../../ffi/libc.js'
import {OVERRIDE_STAT, RECORDED_PREFIX} from '../../intercept/records.js'
import {ERRNO} from '../../kernel/errno.js'
import {
  ACL_ENTRY_BYTES,
  ACL_GROUP,
  ACL_GROUP_OBJ,
  ACL_HEADER_BYTES,
  ACL_MASK,
  ACL_OTHER,
  ACL_USER,
  ACL_USER_OBJ,
  ACL_VERSION,
} from '../../kernel/names/acl.js'
import type {PaxRecord} from './tar-format.js'

export interface Attribute {
  readonly name: Buffer
  readonly value: Buffer
}

/** Ids as the supervisor sees them -> ids of the container. */
export interface ExportIds {
  uid(id: number): number
  gid(id: number): number
}

const ACLS: Readonly<Record<string, string>> = {
  'system.posix_acl_access': 'SCHILY.acl.access',
  'system.posix_acl_default': 'SCHILY.acl.default',
}
const TRUSTED = 'trusted.'
const ACL_TAGS: Readonly<Record<number, string>> = {
  [ACL_USER_OBJ]: 'user',
  [ACL_USER]: 'user',
  [ACL_GROUP_OBJ]: 'group',
  [ACL_GROUP]: 'group',
  [ACL_MASK]: 'mask',
  [ACL_OTHER]: 'other',
}
/** include/uapi/linux/capability.h: the revision is the highest byte of the first word. */
const CAPABILITY_REVISION_2 = 0x02
const CAPABILITY_REVISION_3 = 0x03
const CAPABILITY_BYTES_2 = 20
const CAPABILITY_BYTES_3 = 24

/** Sorted by name. `path` is not followed where it is a link. */
export function readAttributes(path: Buffer): readonly Attribute[] {
  const names = growing((buffer) => llistxattr(path, buffer, buffer?.length ?? 0))
  if (names === undefined || names.length === 0) return []
  const attributes: Attribute[] = []
  let start = 0
  for (let end = names.indexOf(0); end !== -1; end = names.indexOf(0, start)) {
    const name = names.subarray(start, end)
    start = end + 1
    const value = growing((buffer) => lgetxattr(path, name, buffer, buffer?.length ?? 0))
    if (value !== undefined) attributes.push({name, value})
  }
  return attributes.sort((a, b) => Buffer.compare(a.name, b.name))
}

export interface AttributeOptions {
  readonly ids: ExportIds
  /** Of a node, whose record became the node itself. */
  readonly isNode: boolean
  /** Whether a trusted attribute of this name belongs in the archive. */
  readonly isWanted: (name: string) => boolean
}

/** `isNode`: the file stands for a device node, whose record becomes the entry itself. */
export function attributeRecords(
  attributes: readonly Attribute[],
  {ids, isNode, isWanted}: AttributeOptions,
): readonly PaxRecord[] {
  return attributes.flatMap(({name, value}): PaxRecord[] => {
    const text = name.toString('latin1')
    const acl = ACLS[text]
    if (acl !== undefined) {
      const list = aclText(value, ids)
      return list === undefined ? [] : [{key: acl, value: list}]
    }
    if (isNode && text === OVERRIDE_STAT) return []
    if (text === 'security.capability') return [{key: key(name), value: ownCapability(value, ids)}]
    // Labels belong to the policy of this host (selinux, apparmor, ima).
    if (text.startsWith('security.') || text.startsWith('system.')) return []
    const isRecorded = text.startsWith(`${RECORDED_PREFIX}trusted.`)
    const shown = isRecorded ? name.subarray(RECORDED_PREFIX.length) : name
    // Whatever way it came there: the container can write such a record without being asked.
    if (shown.toString('latin1', 0, TRUSTED.length) === TRUSTED && !isWanted(shown.toString('latin1'))) return []
    return [{key: key(shown), value}]
  })
}

/** acl_to_text(3) in its short form, with numbers. undefined for what is no list. */
export function aclText(value: Buffer, ids: ExportIds): string | undefined {
  if (
    value.length < ACL_HEADER_BYTES ||
    value.readUInt32LE(0) !== ACL_VERSION ||
    (value.length - ACL_HEADER_BYTES) % ACL_ENTRY_BYTES !== 0
  )
    return undefined
  const entries: string[] = []
  for (let at = ACL_HEADER_BYTES; at < value.length; at += ACL_ENTRY_BYTES) {
    const [tag, permissions, id] = [value.readUInt16LE(at), value.readUInt16LE(at + 2), value.readUInt32LE(at + 4)]
    const name = ACL_TAGS[tag]
    if (name === undefined) return undefined
    const who = tag === ACL_USER ? ids.uid(id) : tag === ACL_GROUP ? ids.gid(id) : ''
    entries.push(
      `${name}:${who}:${['r', 'w', 'x'].map((letter, bit) => ((permissions >> (2 - bit)) & 1 ? letter : '-')).join('')}`,
    )
  }
  return entries.join(',')
}

/** Capabilities that count for the container's root are plain ones in its image: without the id of who gave them. */
export function ownCapability(value: Buffer, ids: ExportIds): Buffer {
  if (value.length !== CAPABILITY_BYTES_3 || value[3] !== CAPABILITY_REVISION_3) return value
  const root = ids.uid(value.readUInt32LE(CAPABILITY_BYTES_2))
  const changed = Buffer.from(value)
  changed.writeUInt32LE(root, CAPABILITY_BYTES_2)
  if (root !== 0) return changed
  changed[3] = CAPABILITY_REVISION_2
  return changed.subarray(0, CAPABILITY_BYTES_2)
}

/** GNU tar's way with the two characters that a keyword can't hold (xattr_encode_keyword). */
function key(name: Buffer): Buffer {
  const encoded = name.toString('latin1').replaceAll('%', '%25').replaceAll('=', '%3D')
  return Buffer.from(`SCHILY.xattr.${encoded}`, 'latin1')
}

/** First the size, then the bytes; again where it grew. undefined where it went, or the file system has none. */
function growing(read: (buffer: Buffer | null) => number): Buffer | undefined {
  try {
    for (;;) {
      const buffer = Buffer.alloc(read(null))
      if (buffer.length === 0) return buffer
      try {
        return buffer.subarray(0, read(buffer))
      } catch (error) {
        if (!(error instanceof SystemError && error.errno === ERRNO.ERANGE)) throw error
      }
    }
  } catch (error) {
    if (error instanceof SystemError && [ERRNO.ENODATA, ERRNO.EOPNOTSUPP].some((errno) => errno === error.errno))
      return undefined
    throw error
  }
}
