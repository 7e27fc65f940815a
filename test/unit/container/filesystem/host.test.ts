import assert from 'node:assert/strict'

import {reachableByRoot} from '../../../../src/container/filesystem/index.js'
import {parseMountInfo} from '../../../../src/container/filesystem/host.js'
import type {FileFacts} from '../../../../src/container/filesystem/host.js'

const MAP = [{inside: 0, outside: 100_000, count: 65_536}]

describe('reachableByRoot', () => {
  const facts = (mode: number, uid: number, gid: number): FileFacts => ({
    type: 'directory',
    mode,
    uid,
    gid,
    identity: '',
  })
  const reaches = reachableByRoot({rootless: false, uidMap: MAP, gidMap: MAP})

  it('needs both ids to be mapped, or the bit', () => {
    assert.equal(reaches(facts(0o700, 0, 0)), false)
    assert.equal(reaches(facts(0o701, 0, 0)), true)
    assert.equal(reaches(facts(0o000, 100_005, 100_007)), true)
    assert.equal(reaches(facts(0o700, 100_005, 0)), false)
    assert.equal(reaches(facts(0o700, 100_000, 0)), true)
    assert.equal(reaches(facts(0o010, 0, 100_000)), true)
  })

  it('takes the overflow id for unmapped in a user namespace', () => {
    const map = [{inside: 0, outside: 0, count: 65_536}]
    assert.equal(reachableByRoot({rootless: true, uidMap: map, gidMap: map})(facts(0o700, 65_534, 65_534)), false)
  })
})

describe('parseMountInfo', () => {
  it('reads escaped bytes, options and types behind any number of tags', () => {
    const text =
      '36 35 98:0 /mnt1 /mnt/a\\040b\\134\xff rw,noatime,idmapped master:1 shared:2 - ext3 /dev/root rw\n' +
      '37 35 98:0 / /x rw - proc none rw\nbroken\n'
    assert.deepEqual(parseMountInfo(Buffer.from(text, 'latin1')), [
      {path: Buffer.from('/mnt/a b\\\xff', 'latin1'), type: 'ext3', idmapped: true, device: '98:0'},
      {path: Buffer.from('/x'), type: 'proc', idmapped: false, device: '98:0'},
    ])
  })
})
