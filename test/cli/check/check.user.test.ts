// interceptor check in the hands of an ordinary user.

import assert from 'node:assert/strict'

import {interceptorIn} from '../../helpers/program.js'
import {skipUnlessPrograms, skipUnlessRootless} from '../../helpers/skip.js'
import {temporaryDirectories} from '../../helpers/temporary.js'

describe('interceptor check of an ordinary user', () => {
  skipUnlessRootless()
  skipUnlessPrograms('newuidmap')
  const directory = temporaryDirectories()
  const check = (...words: string[]) => interceptorIn({cwd: directory()}, 'check', ...words)

  it('tells on one screen what works, and for the rest what an administrator would run', () => {
    const {status, stdout, stderr} = check('--mknod', '--sysinfo')
    assert.deepEqual({status, stderr}, {status: 0, stderr: ''})
    assert.match(stdout, /^ok {6}container +one was made/mu)
    assert.match(stdout, /^ok {6}mknod +bind: .* \(--mknod\)$/mu)
    assert.match(stdout, /^ok {6}notifications /mu)
    assert.ok(stdout.split('\n').length < 40, stdout)
  })

  it('names what only root can have, with status 1', () => {
    const {status, stdout} = check('--mount-allowed', 'ext4', '--bpf', '--bpf-devices')
    assert.equal(status, 1)
    assert.match(stdout, /\n--bpf, --mount cannot work without root\n$/u)
  })

  it('is named by run before it starts what will never work', () => {
    const words = ['--mount-allowed', 'ext4', '--finit-module', 'dummy']
    const cwd = directory()
    const {status, stderr} = interceptorIn({cwd}, 'run', ...words, '--', 'true')
    assert.equal(status, 0)
    assert.match(
      stderr,
      /^interceptor: --finit-module dummy cannot work here: only root of the host can load modules; /,
    )
    const [, line = ''] = /for more: interceptor check (.*)\n$/.exec(stderr) ?? []
    assert.equal(check(...line.split(' ')).status, 1)
    assert.equal(interceptorIn({cwd}, 'run', '--quiet', ...words, '--', 'true').stderr, '')
    assert.equal(interceptorIn({cwd}, 'run', '--mknod', '--mount-allowed', 'overlay', '--', 'true').stderr, '')
  })
})
