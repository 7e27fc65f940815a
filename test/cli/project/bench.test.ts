// The list of figures can be asked for without measuring.

import assert from 'node:assert/strict'
import {join} from 'node:path'

import {PROJECT, program} from '../../helpers/program.js'

describe('npm run bench', () => {
  const tsx = join(PROJECT, 'node_modules', '.bin', 'tsx')

  it('lists the figures', () => {
    const {status, stdout} = program(tsx, join('bench', 'run.ts'), '--list')
    assert.equal(status, 0)
    assert.match(stdout, /^round-trip +bare notification round trip/mu)
  })

  it('names the figures where one is not known', () => {
    const {status, stderr} = program(tsx, join('bench', 'run.ts'), 'nonsense')
    assert.equal(status, 2)
    assert.match(stderr, /^bench: cannot find figure nonsense: there are .*round-trip/u)
  })
})
