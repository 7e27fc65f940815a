// What mknod may make: the decision alone, and the condition under which it is asked.

import assert from 'node:assert/strict'

import {DEFAULT_DEVICES, encodeDevice} from '../../../../../src/kernel/device-numbers.js'
import {decideMknod, deviceNodeCondition} from '../../../../../src/intercept/families/mknod/decide.js'
import type {CallerFacts, Comparison} from '../../../../../src/intercept/family.js'

const S_IFCHR = 0o020_000
const S_IFBLK = 0o060_000
const policy = {devices: DEFAULT_DEVICES}
const root: CallerFacts = {uid: 0, gid: 0, effective: 1n << 27n, inContainerUserNamespace: true}
const nullDevice = {mode: S_IFCHR | 0o666, dev: encodeDevice({major: 1, minor: 3})}
const disk = {mode: S_IFBLK | 0o660, dev: encodeDevice({major: 8, minor: 0})}

describe('the decision about mknod', () => {
  it('performs what is on the allowlist', () => {
    assert.deepEqual(decideMknod(nullDevice, root, policy), {kind: 'perform', reason: '/dev/null is allowlisted'})
  })

  it('refuses what is not, and says which flag would allow it', () => {
    assert.deepEqual(decideMknod(disk, root, policy), {
      kind: 'refuse',
      errno: 1,
      reason: 'block 8:0 is not allowlisted',
      hint: {flag: '--mknod-allow', value: 'b:8:0'},
    })
  })

  it('tells a block device from the character device of the same numbers', () => {
    assert.equal(decideMknod({...nullDevice, mode: S_IFBLK | 0o666}, root, policy).kind, 'refuse')
    const devices = [{type: 'b', major: 8, minor: 0}] as const
    assert.equal(decideMknod(disk, root, {devices}).kind, 'perform')
    assert.equal(decideMknod({...disk, mode: S_IFCHR}, root, {devices}).kind, 'refuse')
  })

  it('compares all bits of the number', () => {
    // 257:3 has the low byte of 1:3.
    assert.equal(decideMknod({...nullDevice, dev: encodeDevice({major: 257, minor: 3})}, root, policy).kind, 'refuse')
    assert.equal(decideMknod({...nullDevice, dev: encodeDevice({major: 1, minor: 259})}, root, policy).kind, 'refuse')
  })

  it('refuses a caller without CAP_MKNOD before it looks at the device', () => {
    for (const effective of [0n, ~(1n << 27n) & ((1n << 41n) - 1n)]) {
      const verdict = decideMknod(disk, {...root, effective}, policy)
      assert.deepEqual(verdict, {kind: 'refuse', errno: 1, reason: 'the caller lacks CAP_MKNOD'})
    }
  })

  it('leaves a nested user namespace to the kernel, whatever its capabilities', () => {
    assert.equal(decideMknod(nullDevice, {...root, inContainerUserNamespace: false}, policy).kind, 'continue')
  })

  it('leaves whiteouts, FIFOs, sockets and files to the kernel', () => {
    for (const mode of [S_IFCHR, 0o010_000, 0o140_000, 0o100_000, 0]) {
      assert.equal(decideMknod({mode, dev: 0}, root, policy).kind, 'continue')
    }
  })
})

describe('the condition of mknod', () => {
  const condition = deviceNodeCondition(1, 2)
  const holds = (mode: bigint, dev: bigint): boolean =>
    condition.some((group) => group.every((comparison) => compare(comparison, [0n, mode, dev])))

  for (const [title, mode, dev, expected] of [
    ['a character device', 0o020_666n, 0x103n, true],
    ['a block device', 0o060_660n, 0x800n, true],
    ['block 0:0', 0o060_000n, 0n, true],
    ['a whiteout', 0o020_000n, 0n, false],
    ['a whiteout with junk above 32 bits', 0x7_0000_2000n, 0xffff_ffff_0000_0000n, false],
    ['a device with junk above 16 bits of mode', 0xffff_ffff_ffff_21b6n, 0x103n, true],
    ['a FIFO', 0o010_644n, 0n, false],
    ['a socket', 0o140_644n, 0n, false],
    ['a file', 0o100_644n, 0n, false],
    ['a directory', 0o040_755n, 0x103n, false],
  ] as const) {
    it(`${expected ? 'holds' : 'does not hold'} for ${title}`, () => {
      assert.equal(holds(mode, dev), expected)
    })
  }
})

function compare({argument, width, mask, operator, value}: Comparison, registers: readonly bigint[]): boolean {
  const register = BigInt.asUintN(width, registers[argument] ?? 0n) & (mask ?? ~0n)
  if (operator === 'eq') return register === value
  if (operator === 'ne') return register !== value
  throw new Error(`the condition of mknod has no use for ${operator}`)
}
