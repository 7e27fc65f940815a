import assert from 'node:assert/strict'

import fc from 'fast-check'

import {fromBytes, toBytes, wordsWithBytes} from '../../../../src/cli/flags/bytes.js'
import {splitAtNul} from '../../../../src/container/launch/process-args.js'

describe('fromBytes and toBytes', () => {
  it('give any bytes back', () => {
    fc.assert(
      fc.property(fc.uint8Array({maxLength: 40}), (bytes) => {
        assert.deepEqual(toBytes(fromBytes(bytes)), Buffer.from(bytes))
      }),
    )
  })

  it('leave text as it is', () => {
    fc.assert(
      fc.property(fc.string({unit: 'grapheme'}), (text) => {
        assert.equal(fromBytes(Buffer.from(text)), text)
      }),
    )
  })

  it('keep a replacement character that was typed', () => {
    assert.equal(fromBytes(Buffer.from('\ufffd\xff', 'latin1')).length, 2)
    assert.deepEqual(toBytes(fromBytes(Buffer.from('a\ufffdb'))), Buffer.from('a\ufffdb'))
  })
})

describe('wordsWithBytes', () => {
  it('asks the kernel only where something was lost', () => {
    const words = ['a', 'b']
    assert.equal(
      wordsWithBytes(words, () => assert.fail('asked')),
      words,
    )
  })

  it('takes the last words of the real command line', () => {
    const raw = ['node', 'run.js', 'x', 'a\xff'].map((word) => Buffer.from(word, 'latin1'))
    assert.deepEqual(
      wordsWithBytes(['x', 'a\ufffd'], () => raw),
      ['x', 'a\udcff'],
    )
  })

  it('keeps what Node gave where the kernel tells another story', () => {
    assert.deepEqual(
      wordsWithBytes(['a\ufffd'], () => [Buffer.from('title')]),
      ['a\ufffd'],
    )
  })
})

describe('splitAtNul', () => {
  it('counts empty strings and takes an unfinished last one', () => {
    assert.deepEqual(
      splitAtNul(Buffer.from('a\0\0b\0c')).map((part) => part.toString()),
      ['a', '', 'b', 'c'],
    )
  })
})
