import assert from 'node:assert/strict'

import fc from 'fast-check'

import {allowedBy, hintText, readHint} from '../../../src/intercept/hint.js'
import type {Hint} from '../../../src/intercept/hint.js'
import {FAMILIES} from '../../../src/intercept/families/index.js'

describe('a hint', () => {
  const rows: readonly (readonly [string, Hint])[] = [
    ['--mknod-allow b:8:0 would allow it', {flag: '--mknod-allow', value: 'b:8:0'}],
    ['--sysinfo would allow it', {flag: '--sysinfo'}],
    ['--mount-source /a b would allow it', {flag: '--mount-source', value: '/a b'}],
    ['--mount-source --x would allow it would allow it', {flag: '--mount-source', value: '--x would allow it'}],
    ['use --mknod', {advice: 'use --mknod'}],
    ['', {advice: ''}],
  ]
  for (const [text, hint] of rows) {
    it(`reads ${JSON.stringify(text)}`, () => {
      assert.equal(hintText(hint), text)
      assert.deepEqual(readHint(text), hint)
    })
  }

  it('is the same after it was written to a log, whatever the value', () => {
    const flags = FAMILIES.flatMap(({policy}) => policy.flags)
    const value = fc.option(fc.string({minLength: 1, unit: 'binary'}), {nil: undefined})
    fc.assert(
      fc.property(fc.constantFrom(...flags), value, (flag, text) => {
        const hint = allowedBy(flag, text)
        assert.deepEqual(readHint(hintText(hint)), hint)
      }),
    )
  })
})
