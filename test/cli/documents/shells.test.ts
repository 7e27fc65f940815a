// What is written for shells and readers of other programs, as those take it.

import assert from 'node:assert/strict'
import {execFileSync} from 'node:child_process'

import fc from 'fast-check'

import {documents} from '../../../src/manual/documents.js'
import {shellQuote} from '../../../src/render/closing.js'
import {programIn} from '../../helpers/program.js'
import {RECIPES, scriptsOf} from '../../helpers/recipes.js'
import {skipUnlessPrograms} from '../../helpers/skip.js'

describe('the manual', () => {
  skipUnlessPrograms('groff')

  for (const [name, text] of Object.entries(documents()).filter(([name]) => name.startsWith('man/'))) {
    it(`is taken by groff without a warning (${name})`, () => {
      const {status, stderr} = programIn({input: text}, 'groff', '-man', '-ww', '-Tutf8', '-z')
      assert.deepEqual([status, stderr], [0, ''])
    })
  }
})

describe('the recipes for CI', () => {
  skipUnlessPrograms('bash')

  for (const name of RECIPES) {
    it(`parse as shell (${name})`, () => {
      const scripts = scriptsOf(name)
      assert.ok(scripts.length > 0)
      for (const script of scripts) {
        const {status, stderr} = programIn({input: script}, 'bash', '-n')
        assert.deepEqual([status, stderr], [0, ''], script)
      }
    })
  }
})

describe('shellQuote', () => {
  skipUnlessPrograms('bash')

  it('gives words that bash reads back byte for byte', () => {
    const words = [
      ...['', 'plain', "it's", '$(x) `y` "z" \\ !', 'ü', '\u202e', '-n', '~', 'a\u0001b', "'\n\\"].map((word) =>
        Buffer.from(word),
      ),
      Buffer.of(0xff, 0x61, 0x31),
      ...fc.sample(fc.uint8Array({min: 1, maxLength: 12}), {numRuns: 100, seed: 1}).map((bytes) => Buffer.from(bytes)),
    ]
    const script = `printf '%s\\0' ${words.map(shellQuote).join(' ')}`
    const out = execFileSync('bash', ['--norc', '-c', script], {env: {LC_ALL: 'C'}})
    assert.deepEqual(out, Buffer.concat(words.flatMap((word) => [word, Buffer.of(0)])))
  })
})
