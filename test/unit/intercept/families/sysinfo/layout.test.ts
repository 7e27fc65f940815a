import assert from 'node:assert/strict'

import type {Abi} from '../../../../../src/kernel/abi.js'
import type {SysinfoFigures} from '../../../../../src/intercept/families/sysinfo/layout.js'
import {encodeSysinfo} from '../../../../../src/intercept/families/sysinfo/layout.js'

const recorded: SysinfoFigures = {
  uptimeSeconds: 2818,
  loads: [323456 / 65536, 280416 / 65536, 185856 / 65536],
  totalRam: 25276514304,
  freeRam: 22955311104,
  sharedRam: 9007104,
  bufferRam: 22933504,
  totalSwap: 0,
  freeSwap: 0,
  processes: 256,
}

describe('encodeSysinfo', () => {
  // What Linux 6.18 wrote for these figures, called natively and by int 0x80.
  const rows: readonly (readonly [readonly Abi[], string])[] = [
    [
      ['x86_64', 'x32', 'aarch64'],
      '020b000000000000' +
        '80ef040000000000604704000000000000d6020000000000' +
        '000099e20500000000403e5805000000007089000000000000f05d0100000000' +
        '00000000000000000000000000000000' +
        '0001000000000000' +
        '00000000000000000000000000000000' +
        '0100000000000000',
    ],
    [
      ['i386', 'arm'],
      '020b0000' +
        '80ef04006047040000d60200' +
        '90295e00e483550097080000df150000' +
        '0000000000000000' +
        '00010000' +
        '0000000000000000' +
        '00100000' +
        '0000000000000000',
    ],
  ]
  for (const [abis, expected] of rows) {
    for (const abi of abis) {
      it(`lays out ${abi} as the kernel does`, () => {
        assert.equal(encodeSysinfo(recorded, abi, 4096).toString('hex'), expected)
      })
    }
  }

  it('gives 32-bit callers bytes while both totals fit', () => {
    const small = {...recorded, totalRam: 2 ** 32 - 4096, freeRam: 268435456, totalSwap: 2 ** 32 - 4096}
    const bytes = encodeSysinfo(small, 'i386', 4096)
    assert.deepEqual(
      [bytes.readUInt32LE(16), bytes.readUInt32LE(20), bytes.readUInt32LE(52)],
      [4294963200, 268435456, 1],
    )
  })

  it('gives 32-bit callers pages when swap alone does not fit, as large as the machine has them', () => {
    const bytes = encodeSysinfo({...recorded, totalRam: 268435456, totalSwap: 2 ** 33}, 'arm', 65536)
    assert.deepEqual([bytes.readUInt32LE(16), bytes.readUInt32LE(32), bytes.readUInt32LE(52)], [4096, 131072, 65536])
  })

  it('gives the most that a field holds for what does not fit it', () => {
    const huge = {...recorded, totalRam: 2 ** 50, processes: 70_000, loads: [70_000, 0, 0] as const}
    const bytes = encodeSysinfo(huge, 'i386', 4096)
    assert.deepEqual(
      [bytes.readUInt32LE(16), bytes.readUInt16LE(40), bytes.readUInt32LE(4)],
      [0xffffffff, 65535, 0xffffffff],
    )
    assert.equal(encodeSysinfo(huge, 'x86_64', 4096).readBigUInt64LE(32), 2n ** 50n)
  })
})
