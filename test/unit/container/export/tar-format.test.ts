// Entries of a pax archive, byte for byte.

import assert from 'node:assert/strict'

import {aclText, attributeRecords, ownCapability} from '../../../../src/container/export/attributes.js'
import {endOfArchive, headerBlocks, padding} from '../../../../src/container/export/tar-format.js'
import type {TarEntry} from '../../../../src/container/export/tar-format.js'

const FILE: TarEntry = {path: Buffer.from('./file'), type: 'File', mode: 0o4755, uid: 5, gid: 6, size: 9, mtime: 1000}

describe('a header of an archive', () => {
  it('is one block where that can say everything', () => {
    const block = headerBlocks(FILE)
    assert.equal(block.length, 512)
    assert.deepEqual(fields(block), {name: './file', mode: 0o4755, uid: 5, gid: 6, size: 9, mtime: 1000, type: '0'})
    assert.equal(block.toString('latin1', 257, 265), 'ustar\x0000')
    assert.equal(number(block, 148, 8), checksum(block))
  })

  it('has the numbers of a device', () => {
    const block = headerBlocks({...FILE, type: 'BlockDevice', size: 0, major: 259, minor: 1_048_575})
    assert.deepEqual([fields(block).type, number(block, 329, 8), number(block, 337, 8)], ['4', 259, 1_048_575])
  })

  it('has a slash behind the name of a directory', () => {
    assert.equal(fields(headerBlocks({...FILE, type: 'Directory', size: 0})).name, './file/')
  })

  it('tells long names and links in records', () => {
    const [path, link] = [Buffer.from(`./${'p'.repeat(250)}`), Buffer.from('l'.repeat(3000))]
    const records = recordsOf(headerBlocks({...FILE, type: 'SymbolicLink', size: 0, path, link}))
    assert.deepEqual(records, [`path=${path.toString()}`, `linkpath=${link.toString()}`])
  })

  it('tells names as bytes, and says so where they are no UTF-8', () => {
    const text = recordsOf(headerBlocks({...FILE, path: Buffer.from('./grün\n')}))
    assert.deepEqual(text, [`path=${Buffer.from('./grün\n').toString('latin1')}`])
    const bytes = recordsOf(headerBlocks({...FILE, path: Buffer.from('./\xff=', 'latin1')}))
    assert.deepEqual(bytes, ['hdrcharset=BINARY', 'path=./\xff='])
  })

  it('tells ids, sizes and times that do not fit in records', () => {
    const large = {...FILE, uid: 4_294_967_294, gid: 2_097_152, size: 2 ** 40, mtime: -1}
    assert.deepEqual(recordsOf(headerBlocks(large)), [
      'size=1099511627776',
      'uid=4294967294',
      'gid=2097152',
      'mtime=-1',
    ])
  })

  it('counts the length of a record with its own digits', () => {
    for (const length of [85, 86, 87, 88, 89, 985, 986, 987, 988]) {
      const records = recordsOf(headerBlocks({...FILE, records: [{key: 'k', value: 'v'.repeat(length)}]}))
      assert.deepEqual(records, [`k=${'v'.repeat(length)}`])
    }
  })

  it('is followed by content in whole blocks, and the archive by empty ones', () => {
    assert.deepEqual(
      [0, 1, 511, 512, 513].map((size) => padding(size).length),
      [0, 511, 1, 0, 511],
    )
    for (const written of [0, 512, 9216, 9728, 10_240]) {
      const end = endOfArchive(written)
      assert.ok(end.length >= 1024)
      assert.equal((written + end.length) % 10_240, 0)
    }
  })
})

describe('an attribute in an archive', () => {
  const ids = {uid: (id: number) => id - 100_000, gid: (id: number) => id - 200_000}
  const isWanted = (name: string) => name === 'trusted.overlay.opaque'
  const records = (name: string, value: Buffer, isNode = false) =>
    attributeRecords([{name: Buffer.from(name, 'latin1'), value}], {ids, isNode, isWanted}).map(
      (record) => [record.key.toString('latin1' as never), record.value] as const,
    )

  it('is left out where it is trusted and not wanted, however it came to be there', () => {
    for (const prefix of ['', 'user.interceptor.']) {
      assert.deepEqual(records(`${prefix}trusted.overlay.redirect`, Buffer.of(1)), [])
      assert.equal(records(`${prefix}trusted.overlay.opaque`, Buffer.of(1)).length, 1)
    }
  })

  it('keeps its name and bytes', () => {
    assert.deepEqual(records('user.\xff', Buffer.of(0, 255)), [['SCHILY.xattr.user.\xff', Buffer.of(0, 255)]])
    assert.deepEqual(records('user.a=b%', Buffer.of(1)), [['SCHILY.xattr.user.a%3Db%25', Buffer.of(1)]])
  })

  it('is trusted where it was kept for want of privilege', () => {
    const value = Buffer.from('y')
    const name = 'SCHILY.xattr.trusted.overlay.opaque'
    assert.deepEqual(records('user.interceptor.trusted.overlay.opaque', value), [[name, value]])
    assert.deepEqual(records('user.interceptor.other', value), [['SCHILY.xattr.user.interceptor.other', value]])
  })

  it('is left out where the entry itself says it, or where it belongs to this host', () => {
    const value = Buffer.from('0:0:0666:char-1-3')
    assert.deepEqual(records('user.containers.override_stat', value, true), [])
    assert.equal(records('user.containers.override_stat', value).length, 1)
    assert.deepEqual(records('security.selinux', Buffer.from('u:r:t:s0')), [])
  })

  it('is an access list in words, with ids of the container', () => {
    const list = acl([1, 7, -1], [2, 5, 101_000], [4, 4, -1], [8, 6, 200_007], [16, 7, -1], [32, 0, -1])
    const text = 'user::rwx,user:1000:r-x,group::r--,group:7:rw-,mask::rwx,other::---'
    assert.equal(aclText(list, ids), text)
    assert.deepEqual(records('system.posix_acl_default', list), [['SCHILY.acl.default', text]])
    assert.equal(aclText(list.subarray(1), ids), undefined)
  })

  it('is a plain capability where it counts for root of the container', () => {
    const plain = Buffer.from('0100000200200000000000000000000000000000', 'hex')
    const own = Buffer.concat([plain, Buffer.alloc(4)])
    own[3] = 3
    own.writeUInt32LE(100_000, 20)
    assert.deepEqual(ownCapability(own, ids), plain)
    assert.deepEqual(ownCapability(plain, ids), plain)
    own.writeUInt32LE(100_005, 20)
    assert.equal(ownCapability(own, ids).readUInt32LE(20), 5)
  })
})

function acl(...entries: readonly (readonly [tag: number, permissions: number, id: number])[]): Buffer {
  const bytes = Buffer.alloc(4 + 8 * entries.length)
  bytes.writeUInt32LE(2, 0)
  entries.forEach(([tag, permissions, id], index) => {
    bytes.writeUInt16LE(tag, 4 + 8 * index)
    bytes.writeUInt16LE(permissions, 6 + 8 * index)
    bytes.writeUInt32LE(id >>> 0, 8 + 8 * index)
  })
  return bytes
}

function number(block: Buffer, at: number, length: number): number {
  return Number.parseInt(block.toString('latin1', at, at + length).replace(/[\0 ].*$/s, ''), 8)
}

function fields(block: Buffer) {
  const name = block.toString('latin1', 0, block.indexOf(0))
  const [mode, uid, gid] = [100, 108, 116].map((at) => number(block, at, 8))
  const type = block.toString('latin1', 156, 157)
  return {name, mode, uid, gid, size: number(block, 124, 12), mtime: number(block, 136, 12), type}
}

function checksum(block: Buffer): number {
  return block.reduce((sum, byte, index) => sum + (index >= 148 && index < 156 ? 0x20 : byte), 0)
}

/** Of an extended header, one character for each byte. */
function recordsOf(blocks: Buffer): readonly string[] {
  assert.equal(fields(blocks).type, 'x')
  const body = blocks.toString('latin1', 512, 512 + fields(blocks).size)
  const records: string[] = []
  for (let at = 0; at < body.length;) {
    const digits = /^\d+/.exec(body.slice(at))![0]
    const end = at + Number(digits)
    assert.equal(body[end - 1], '\n')
    records.push(body.slice(at + digits.length + 1, end - 1))
    at = end
  }
  return records
}
