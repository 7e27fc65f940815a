// Device numbers and the ways of writing them.

import assert from 'node:assert/strict'

import fc from 'fast-check'

import {UsageError} from '../../../../../src/errors.js'
import {parseDevice} from '../../../../../src/intercept/families/mknod/device.js'
import {
  DEFAULT_DEVICES,
  decodeDevice,
  encodeDevice,
  formatDevice,
  nameDevice,
  splitDevice,
} from '../../../../../src/kernel/device-numbers.js'

describe('device', () => {
  it('reads numbers', () => {
    assert.deepEqual(parseDevice('c:10:229'), {type: 'c', major: 10, minor: 229})
    assert.deepEqual(parseDevice('b:7:0'), {type: 'b', major: 7, minor: 0})
    assert.deepEqual(parseDevice('c:4095:1048575'), {type: 'c', major: 4095, minor: 1_048_575})
  })

  it('takes the path of a node of the host', () => {
    assert.deepEqual(parseDevice('/dev/null'), {path: '/dev/null'})
  })

  for (const text of ['', 'c', 'c:1', 'p:1:3', 'c:1:3:4', 'c:-1:3', 'c:1:x', 'c:4096:0', 'c:0:1048576', 'dev/null']) {
    it(`refuses '${text}'`, () => {
      assert.throws(() => parseDevice(text), UsageError)
    })
  }

  it('decodes every 32-bit number and encodes it again', () => {
    fc.assert(
      fc.property(fc.integer({min: 0, max: 0xffff_ffff}), (dev) => {
        const {major, minor} = decodeDevice(dev)
        assert.ok(major >= 0 && major <= 0xfff && minor >= 0 && minor <= 0xf_ffff)
        assert.equal(encodeDevice({major, minor}), dev)
        // libc and kernel agree within 32 bits.
        assert.deepEqual(splitDevice(BigInt(dev)), {major, minor})
      }),
    )
  })

  it('names what has one meaning everywhere', () => {
    assert.equal(nameDevice({type: 'c', major: 1, minor: 3}), '/dev/null')
    assert.equal(nameDevice({type: 'b', major: 1, minor: 3}), 'block 1:3')
  })

  it('allows eight devices by default, none of them a block device', () => {
    assert.deepEqual(DEFAULT_DEVICES.map(formatDevice), [
      'c:1:3',
      'c:1:5',
      'c:1:7',
      'c:1:8',
      'c:1:9',
      'c:5:0',
      'c:5:1',
      'c:5:2',
    ])
  })
})
