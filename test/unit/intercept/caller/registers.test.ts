// Registers of a notification.

import assert from 'node:assert/strict'
import {ABIS} from '../../../../src/kernel/abi.js'
import {NotificationRegisters} from '../../../../src/intercept/caller/registers.js'

function notification(arch: number, second: bigint): NotificationRegisters {
  const words = new Uint32Array(20)
  words[5] = arch
  words[10] = Number(BigInt.asUintN(32, second))
  words[11] = Number(second >> 32n)
  return new NotificationRegisters(words)
}

describe('NotificationRegisters', () => {
  it('reads an int from the low half, whatever lies above', () => {
    const registers = notification(ABIS.x86_64.auditArch, 0xdead_beef_ffff_ff9cn)
    assert.equal(registers.int32(1), -100)
    assert.equal(registers.uint32(1), 0xffff_ff9c)
    assert.equal(registers.uint64(1), 0xdead_beef_ffff_ff9cn)
    assert.ok(Number.isNaN(registers.address(1)))
  })

  it('reads whole registers on 64-bit ABIs and on x32', () => {
    for (const arch of [ABIS.x86_64.auditArch, ABIS.x32.auditArch, ABIS.aarch64.auditArch]) {
      assert.equal(notification(arch, 0x7fff_1234_5678n).address(1), 0x7fff_1234_5678)
    }
  })

  it('reads low halves alone on 32-bit ABIs, as 64-bit code may enter with junk above', () => {
    for (const arch of [ABIS.i386.auditArch, ABIS.arm.auditArch]) {
      const registers = notification(arch, 0xdead_beef_0804_8000n)
      assert.equal(registers.address(1), 0x0804_8000)
      assert.equal(registers.uint64(1), 0x0804_8000n)
    }
  })
})
