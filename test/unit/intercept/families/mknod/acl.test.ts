import assert from 'node:assert/strict'

import {modeOf} from '../../../../../src/intercept/families/mknod/acl.js'

describe('an access list', () => {
  const list = (...entries: readonly (readonly [number, number])[]): Buffer => {
    const bytes = Buffer.alloc(4 + 8 * entries.length, 0xff)
    bytes.writeUInt32LE(2, 0)
    entries.forEach(([tag, permissions], index) => {
      bytes.writeUInt16LE(tag, 4 + 8 * index)
      bytes.writeUInt16LE(permissions, 6 + 8 * index)
    })
    return bytes
  }

  it('is a mode where it says no more', () => {
    assert.equal(modeOf(list([1, 6], [4, 4], [32, 1])), 0o641)
  })

  it('is none where it says more, or less, or is none', () => {
    for (const other of [
      list([1, 6], [2, 7], [4, 4], [16, 7], [32, 4]),
      list([1, 6], [4, 4]),
      list([1, 6], [1, 6], [32, 4]),
      list([1, 6], [4, 8], [32, 4]),
      list([1, 6], [8, 4], [32, 4]),
      Buffer.alloc(28),
      Buffer.alloc(0),
    ])
      assert.equal(modeOf(other), undefined)
  })
})
