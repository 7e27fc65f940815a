// The built program in the hands of an ordinary user, before any container is made.

import assert from 'node:assert/strict'

import {interceptor, isRoot, program} from '../../helpers/program.js'
import {skipUnless} from '../../helpers/skip.js'

describe('interceptor of an ordinary user', () => {
  skipUnless(!isRoot(), 'is for ordinary users')

  it('runs with no capability at all', () => {
    const {stdout} = program('grep', '-E', '^Cap(Prm|Eff|Amb):', '/proc/self/status')
    assert.match(stdout, /^(Cap(Prm|Eff|Amb):\t0{16}\n){3}$/u)
  })

  it('shows its help', () => {
    const {status, stdout, stderr} = interceptor('--help')
    assert.deepEqual({status, stderr}, {status: 0, stderr: ''})
    assert.match(stdout, /^ {2}run /mu)
  })

  it('names a flag that does not exist, without a stack', () => {
    const {status, stdout, stderr} = interceptor('run', '--mknodd', '--', 'true')
    assert.deepEqual({status, stdout}, {status: 125, stdout: ''})
    assert.match(stderr, /^interceptor: .*--mknodd/mu)
    assert.doesNotMatch(stderr, /^ +at /mu)
  })
})
