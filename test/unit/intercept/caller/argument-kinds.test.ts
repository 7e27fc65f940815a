// Registers with junk in what the kernel does not look at, and what a log line shows of them.

import assert from 'node:assert/strict'

import {
  buffer,
  dev,
  dirFd,
  flags,
  mode,
  optionalString,
  path,
  pointer,
  quote,
  size,
} from '../../../../src/intercept/caller/argument-kinds.js'
import {NotificationRegisters} from '../../../../src/intercept/caller/registers.js'
import type {Argument, CallerMemory} from '../../../../src/intercept/family.js'

const JUNK = 0xdead_beef
const X86_64 = 0xc000_003e
const I386 = 0x4000_0003

function registers(values: readonly bigint[], arch = X86_64): NotificationRegisters {
  const words = new Uint32Array(20)
  words[5] = arch
  values.forEach((value, index) => {
    words[8 + index * 2] = Number(value & 0xffff_ffffn)
    words[9 + index * 2] = Number(value >> 32n)
  })
  return new NotificationRegisters(words)
}

const memory: CallerMemory = {
  bytes: (address, length) => Buffer.alloc(length, address & 0xff),
  string: (address, limit) => Buffer.from(`${address}:${limit}`),
  write: () => undefined,
}
const read = <T>(argument: Argument<T>, ...values: bigint[]): T => argument.read(registers(values), memory, 'x86_64')
const junk = BigInt(JUNK) << 32n

describe('arguments', () => {
  it('take an int from the low half', () => {
    const argument = dirFd(0)
    assert.equal(argument.show(read(argument, junk | 0xffff_ff9cn)), 'AT_FDCWD')
    assert.equal(read(argument, junk | 3n), 3)
  })

  it('take 16 bits of a mode and 32 of a device number', () => {
    assert.equal(mode(0).show(read(mode(0), junk | 0xabcd_21b6n)), 'S_IFCHR|0666')
    assert.equal(mode(0).show(0o4755), '04755')
    assert.equal(dev(0).show(read(dev(0), junk | 0x0010_082cn)), 'makedev(8, 300)')
    assert.deepEqual(dev(0).json(0x103), {major: 1, minor: 3})
  })

  it('take all of a pointer, and the low half of it on a 32-bit ABI', () => {
    assert.equal(read(pointer(0), 0x7fff_1234_5678n), 0x7fff_1234_5678)
    assert.equal(pointer(0).read(registers([junk | 16n], I386), memory, 'i386'), 16)
    assert.equal(read(size(0), 1n << 53n), NaN)
    assert.equal(pointer(0).show(0), 'NULL')
  })

  it('read strings and buffers within their limits', () => {
    assert.equal(read(path(0), 4096n).toString(), '4096:4096')
    assert.equal(read(optionalString(0, 10), 0n), null)
    assert.equal(read(optionalString(0, 10), 5n)?.toString(), '5:10')
    assert.equal(read(buffer(0, 1, 8), 1n, 8n)?.length, 8)
    assert.equal(read(buffer(0, 1, 8), 1n, 9n), null)
    assert.equal(read(buffer(0, 1, 8), 1n, 1n << 63n), null)
  })

  it('show bits without a name', () => {
    const argument = flags(0, {prefix: 'X_', names: {X_NONE: 0, X_A: 1, X_B: 2, X_HIGH: 0x8000_0000}})
    assert.equal(argument.show(0), 'X_NONE')
    assert.equal(argument.show(read(argument, junk | 0x8000_0043n)), 'X_A|X_B|X_HIGH|0x40 /* X_??? */')
  })

  it('escape what could move a cursor or is no UTF-8', () => {
    assert.equal(
      quote(Buffer.from('a"\\\n\x1b[2J\u009b\u202e\u00e9\u4e16')),
      '"a\\"\\\\\\n\\x1b[2J\\xc2\\x9b\\xe2\\x80\\xae\u00e9\u4e16"',
    )
    assert.equal(quote(Buffer.from([0xff, 0x61, 0xe4, 0xb8])), '"\\xffa\\xe4\\xb8"')
    assert.equal(quote(Buffer.from('abcdef'), 3), '"abc"...')
    assert.deepEqual(path(0).json(Buffer.from([0xff])), {base64: '/w=='})
  })
})
