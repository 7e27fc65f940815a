// A listener inside the container: the kernel's own answer, and the reason in the log.

import assert from 'node:assert/strict'
import {execFileSync} from 'node:child_process'
import {join} from 'node:path'

import {hasProgram, interceptorIn, PROJECT} from '../helpers/program.js'
import {skipUnless, skipUnlessPrivileged} from '../helpers/skip.js'
import {temporaryDirectories} from '../helpers/temporary.js'

describe('a seccomp listener inside the container', () => {
  skipUnlessPrivileged()
  skipUnless(hasProgram('cc'), 'needs a C compiler')
  const directory = temporaryDirectories()
  let cwd = ''
  before(() => {
    cwd = directory()
    const source = join(PROJECT, 'native', 'test', 'handler-calls.c')
    execFileSync('cc', ['-O1', '-pthread', '-static', '-o', join(cwd, 'handler-calls'), source])
  })

  const run = (...words: readonly string[]) => interceptorIn({cwd}, 'run', ...words)

  it("M15: gets the kernel's EBUSY, and the log tells why", () => {
    const {stdout, stderr} = run('--sysinfo', '--', './handler-calls', 'listener')
    assert.equal(stdout, 'listener -16\n')
    assert.match(
      stderr,
      /seccomp\(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER\) = \? {2}continued: the kernel answers EBUSY/,
    )
  })

  it("gets the kernel's own error where the call is wrong", () => {
    assert.equal(run('--sysinfo', '--', './handler-calls', 'listener-bad').stdout, 'listener-bad -22\n')
  })

  it('is not in the way of filters without a listener', () => {
    const {stdout, stderr} = run('--sysinfo', '--', './handler-calls', 'filter')
    assert.equal(stdout, 'filter 0\n')
    assert.doesNotMatch(stderr, /seccomp\(/)
  })

  it('can be had where nothing is intercepted', () => {
    assert.match(run('--', './handler-calls', 'listener').stdout, /^listener [3-9]\n$/)
  })
})
