// The attribute that records what a placeholder stands for.

import assert from 'node:assert/strict'

import {formatOverrideStat, parseOverrideStat} from '../../../src/intercept/records.js'
import {writableMountPoints} from '../../../src/intercept/families/mknod/restore-nodes.js'

describe('the record of a node', () => {
  it('is written as containers/storage writes it', () => {
    const node = {device: {type: 'c', major: 1, minor: 3}, mode: 0o666, uid: 0, gid: 0} as const
    assert.equal(formatOverrideStat(node), '0:0:0666:char-1-3')
    const disk = {device: {type: 'b', major: 259, minor: 1_000_000}, mode: 0o4755, uid: 1000, gid: 6} as const
    assert.equal(formatOverrideStat(disk), '1000:6:4755:block-259-1000000')
  })

  it('is read as it was written', () => {
    const node = {
      device: {type: 'b', major: 4095, minor: 1_048_575},
      mode: 0o17,
      uid: 65_534,
      gid: 4_294_967_294,
    } as const
    assert.deepEqual(parseOverrideStat(formatOverrideStat(node)), node)
    assert.deepEqual(parseOverrideStat('5:6:0600:block-5-6'), {
      device: {type: 'b', major: 5, minor: 6},
      mode: 0o600,
      uid: 5,
      gid: 6,
    })
  })

  for (const text of [
    '',
    '0:0:0644',
    '0:0:0644:file',
    '0:0:0644:dir',
    '0:0:0644:char',
    '0:0:0644:char-1',
    '0:0:0644:char-1-3-5',
    '0:0:0644:char-1-3\n',
    ' 0:0:0644:char-1-3',
    '-1:0:0644:char-1-3',
    '4294967295:0:0644:char-1-3',
    '0:0:0648:char-1-3',
    '0:0:20666:char-1-3',
    '0:0:0644:char-4096-3',
    '0:0:0644:char-1-1048576',
    '0:0:0644:char-99999999999-3',
  ]) {
    it(`is not read from ${JSON.stringify(text)}`, () => {
      assert.equal(parseOverrideStat(text), undefined)
    })
  }
})

describe('the search for recorded nodes', () => {
  it('looks where files can be made, and nowhere else', () => {
    const text = [
      '100 99 8:1 / / ro,nosuid - ext4 /dev/sda1 rw',
      '101 100 8:1 /home/u/w /home/u/w rw,relatime shared:1 master:2 - ext4 /dev/sda1 rw',
      '102 100 0:5 / /proc rw,nosuid - proc proc rw',
      '103 100 0:6 / /ro rw - squashfs /dev/loop0 ro',
      '104 100 8:1 /x /a\\040b\\134 rw - xfs /dev/sdb rw,attr2',
      '',
    ].join('\n')
    assert.deepEqual(writableMountPoints(text).map(String), ['/home/u/w', '/a b\\'])
  })
})
