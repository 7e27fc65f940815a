import assert from 'node:assert/strict'

import fc from 'fast-check'

import {ByteRing} from '../../../../src/intercept/log/byte-ring.js'

describe('ByteRing', () => {
  it('gives back what was written, in order, across its end', () => {
    const pieces = fc.array(fc.record({bytes: fc.uint8Array({maxLength: 40}), released: fc.nat(60)}), {maxLength: 60})
    fc.assert(
      fc.property(pieces, (steps) => {
        const memory = ByteRing.memory(64)
        const [writer, reader] = [new ByteRing(memory), new ByteRing(memory)]
        const expected: number[] = []
        for (const {bytes, released} of steps) {
          if (bytes.length <= writer.room) {
            writer.write(bytes)
            expected.push(...bytes)
          } else assert.throws(() => writer.write(bytes), RangeError)
          const target = new Uint8Array(released)
          const length = reader.peek(target)
          assert.deepEqual([...target.subarray(0, length)], expected.splice(0, length))
          reader.release(length)
          assert.equal(reader.unread, expected.length)
          assert.equal(writer.room, 63 - expected.length)
        }
      }),
    )
  })
})
