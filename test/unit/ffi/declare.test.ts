// Declared functions: what passes to C, and what is refused before it gets there.

import assert from 'node:assert/strict'
import {existsSync, mkdirSync, mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'

import {FixedMemory, PathCopy, declare, declareInt, declareLong, declareRaw} from '../../../src/ffi/declare.js'
import {SystemError} from '../../../src/ffi/errors.js'

const AT_FDCWD = -100

describe('a declared function', () => {
  it('takes numbers that fit its types, and no others', () => {
    const abs = declareInt('abs', ['int'])
    assert.equal(abs(-7), 7)
    assert.equal(abs(-0x7fffffff), 0x7fffffff)
    for (const bad of [0x8000_0000, 1.5, NaN, '1' as never, 1n as never, undefined as never]) {
      assert.throws(() => abs(bad), RangeError)
    }
    const uint = declareInt('ffs', ['uint'])
    assert.equal(uint(0x8000_0000), 32)
    for (const bad of [-1, 2 ** 32, 0.5]) assert.throws(() => uint(bad), RangeError)
    const close = declare('close', ['fd'])
    for (const bad of [-1, -99, 2 ** 31, NaN]) assert.throws(() => close(bad), RangeError)
    const labs = declareLong('labs', ['long'])
    assert.equal(labs(-(2 ** 40)), 2 ** 40)
    assert.throws(() => labs(2 ** 53), RangeError)
    const size = declareInt('memcmp', ['buffer', 'address', 'size'])
    const memory = new FixedMemory(4)
    assert.equal(size(memory.bytes, memory.address, 4), 0)
    assert.equal(size(memory.bytes, BigInt(memory.address), 4), 0)
    assert.throws(() => size(memory.bytes, memory.address, -1), RangeError)
    assert.throws(() => size(memory.bytes, -1, 4), RangeError)
    assert.throws(() => size('text' as never, memory.address, 4), RangeError)
  })

  it('throws the errno of what fails, under the name of the kernel', () => {
    const fail = declare('close', ['fd'], 'close_of_a_test')
    assert.throws(
      () => fail(0x7fff_ffff),
      (error) => error instanceof SystemError && error.code === 'EBADF' && error.syscall === 'close_of_a_test',
    )
    assert.equal(declareRaw('read', ['fd', 'buffer', 'size'])(0x7fff_ffff, Buffer.alloc(1), 1), -1)
  })

  it('takes two paths at once, of any length and as bytes or text', () => {
    const top = mkdtempSync(join(tmpdir(), 'declare-'))
    const rename = declare('renameat', ['fd', 'path', 'fd', 'path'])
    try {
      mkdirSync(join(top, 'one'))
      rename(AT_FDCWD, Buffer.from(join(top, 'one')), AT_FDCWD, join(top, 'zwei Ä'))
      assert.equal(existsSync(join(top, 'zwei Ä')), true)
      // A shorter path after a longer one, in the same memory.
      rename(AT_FDCWD, join(top, 'zwei Ä'), AT_FDCWD, join(top, 'b'))
      assert.equal(existsSync(join(top, 'b')), true)
      for (const length of [4094, 4095, 4096, 4097, 100_000]) {
        assert.throws(
          () => rename(AT_FDCWD, 'x'.repeat(length), AT_FDCWD, 'y'),
          (error) => error instanceof SystemError && error.code === 'ENAMETOOLONG',
        )
      }
      assert.throws(() => rename(AT_FDCWD, `${top}/b\0c`, AT_FDCWD, `${top}/d`), /NUL/)
      assert.throws(() => rename(AT_FDCWD, 5 as never, AT_FDCWD, 'y'), RangeError)
      assert.equal(existsSync(join(top, 'b')), true)
    } finally {
      rmSync(top, {recursive: true})
    }
  })
})

describe('PathCopy', () => {
  it('ends each path where it ends, whatever was there before', () => {
    const length = declareInt('strlen', ['address'])
    const copy = new PathCopy()
    assert.equal(length(copy.addressOf('longer')), 6)
    assert.equal(length(copy.addressOf('s')), 1)
    assert.equal(length(copy.addressOf('')), 0)
    assert.equal(length(copy.addressOf('x'.repeat(4096))), 4096)
    assert.equal(length(copy.addressOf(Buffer.from('ä'))), 2)
  })
})
