// What is found in super blocks: fields by their places in the kernel's structures, in images that hold nothing else.

import assert from 'node:assert/strict'

import {mayLeadElsewhere, strangeDeviceOf} from '../../../../../src/intercept/families/mount/sources/super-block.js'

type Field = readonly [offset: number, value: Buffer | string | number]

function look(type: string, ...fields: readonly Field[]): string | undefined {
  const image = Buffer.alloc(70_000)
  for (const [offset, value] of fields) {
    if (typeof value === 'number') image.writeUInt32LE(value >>> 0, offset)
    else image.write(value.toString('latin1'), offset, 'latin1')
  }
  return strangeDeviceOf(type, (offset, length) => image.subarray(offset, offset + length))?.split(' is on ')[0]
}

describe('strangeDeviceOf', () => {
  const ext4 = (...fields: readonly Field[]) => look('ext4', [1024 + 0x38, 0xef53], ...fields)
  const hasJournal: Field = [1024 + 0x5c, 4]
  const inode = (value: number): Field => [1024 + 0xe0, value]
  const device = (value: number): Field => [1024 + 0xe4, value]

  it('finds the journal of an ext4 elsewhere', () => {
    assert.equal(ext4(hasJournal, inode(8)), undefined)
    assert.equal(ext4(hasJournal, device(0x801)), 'its journal')
    assert.equal(ext4(hasJournal, inode(8), device(0x801)), 'its journal')
    assert.equal(ext4(hasJournal), 'its journal', 'no number at all')
    assert.equal(ext4(device(0x801)), undefined, 'no journal, no device')
    assert.equal(look('ext4', hasJournal, device(0x801)), undefined, 'no ext4: the kernel says so')
    for (const type of ['ext2', 'ext3']) assert.equal(look(type, [1024 + 0x38, 0xef53], hasJournal), 'its journal')
  })

  it('reads the options that an ext4 gives itself', () => {
    const options = (text: string) => ext4(hasJournal, inode(8), [1024 + 0x200, text])
    assert.match(options('noatime,journal_dev=0x801') ?? '', /^the super block has options of its own: .*journal_dev/u)
    assert.match(options('journal_path=/dev/sda\0x') ?? '', /journal_path/u)
    assert.equal(options('acl,user_xattr\0journal_dev=1'), undefined)
    assert.match(options(`${'nodiscard,'.repeat(4).padEnd(48, ',')}journal_dev=0x801`) ?? '', /journal_dev/u)
  })

  it('finds the log of a jfs elsewhere, in the copy too', () => {
    const inline: Field = [0x8000 + 36, 0x800]
    assert.equal(look('jfs', [0x8000, 'JFS1'], inline), undefined)
    assert.equal(look('jfs', [0x8000, 'JFS1'], [0x8000 + 36, 0x400]), 'its log')
    assert.equal(look('jfs', [0x8000, 'JFS1'], inline, [0xf000, 'JFS1']), 'its log')
  })

  it('finds the journal of a reiserfs elsewhere, in both places', () => {
    for (const [place, name] of [
      [65_536, 'ReIsEr2Fs'],
      [8192, 'ReIsErFs'],
      [65_536, 'ReIsEr3Fs'],
    ] as const) {
      assert.equal(look('reiserfs', [place + 52, name]), undefined)
      assert.equal(look('reiserfs', [place + 52, name], [place + 16, 0x801]), 'its journal')
    }
  })

  it('finds more devices of f2fs and btrfs', () => {
    const magic = 0xf2f5_2010
    assert.equal(look('f2fs', [1024, magic], [1024 + 2201, '/dev/sda']), undefined, 'the first is its own')
    for (const place of [1024, 5120]) {
      assert.equal(look('f2fs', [place, magic], [place + 2201 + 68, '/dev/sdb']), 'a part of it')
    }
    const btrfs = (count: number) => look('btrfs', [65_536 + 0x40, '_BHRfS_M'], [65_536 + 0x88, count])
    assert.deepEqual([btrfs(1), btrfs(2)], [undefined, 'a part of it'])
  })

  it('looks at nothing of file systems that have one device, and at images that end early', () => {
    for (const type of ['xfs', 'vfat', 'squashfs', 'constructor']) assert.equal(mayLeadElsewhere(type), false, type)
    for (const type of ['ext4', 'jfs', 'reiserfs', 'f2fs', 'btrfs']) {
      assert.equal(
        strangeDeviceOf(type, () => Buffer.alloc(0)),
        undefined,
      )
      assert.ok(mayLeadElsewhere(type))
    }
  })
})
