import assert from 'node:assert/strict'
import {readFileSync} from 'node:fs'

import {describeFailure} from '../../../../src/cli/text/failure.js'
import {nearest} from '../../../../src/nearest.js'
import {LaunchError, UsageError} from '../../../../src/errors.js'
import {SystemError} from '../../../../src/ffi/errors.js'

describe('describeFailure', () => {
  it('words a failure with its causes and hints', () => {
    const cause = new Error('unshare: EPERM')
    assert.deepEqual(describeFailure(new LaunchError('cannot start make', {cause, hints: ['run as root']})), {
      text: 'interceptor: cannot start make: unshare: EPERM\nhint: run as root\n',
      exitCode: 125,
    })
  })

  it('says what Node repeats once, in our words', () => {
    const causeOf = (path: string): unknown => {
      try {
        readFileSync(path)
      } catch (error) {
        return error
      }
      return undefined
    }
    const words = (cause: unknown) => describeFailure(new LaunchError('cannot read x', {cause})).text
    assert.equal(words(causeOf('/absent/x')), 'interceptor: cannot read x: no such file or directory\n')
    assert.equal(words(causeOf('/')), 'interceptor: cannot read x: it is a directory\n')
    assert.equal(words(causeOf('/dev/null/x')), 'interceptor: cannot read x: something on the way is no directory\n')
    assert.equal(
      words(new SystemError('openat2', 2)),
      'interceptor: cannot read x: openat2: no such file or directory\n',
    )
  })

  it('answers wrong usage with 125 for run and exec, with 2 otherwise', () => {
    const error = new UsageError('no')
    assert.deepEqual(
      ['run', 'exec', 'explain', 'check', undefined].map((command) => describeFailure(error, command).exitCode),
      [125, 125, 2, 2, 2],
    )
  })

  it('escapes what could drive a terminal', () => {
    const {text} = describeFailure(new UsageError('bad \u001b[31m\n\u202e\udcff', {hints: ['\u0007']}))
    assert.equal(text, 'interceptor: bad \\x1b[31m\\n\\xe2\\x80\\xae\\xff\nhint: \\x07\n')
  })

  it('shows no stack of a system call that failed', () => {
    assert.deepEqual(describeFailure(new SystemError('eventfd2', 5)), {
      text: 'interceptor: cannot go on: eventfd2: i/o error\n',
      exitCode: 125,
    })
  })

  it('shows the stack of a bug only', () => {
    const {text, exitCode} = describeFailure(new TypeError('x is undefined'))
    assert.match(text, /^interceptor: internal error \(this is a bug.*\nTypeError: x is undefined\n {4}at /)
    assert.equal(exitCode, 70)
  })
})

describe('nearest', () => {
  const rows: readonly [string, string | undefined][] = [
    ['mkond', 'mknod'],
    ['mknod-alow', 'mknod-allow'],
    ['sys', 'sysinfo'],
    ['completely', undefined],
    ['x', undefined],
  ]
  for (const [word, expected] of rows) {
    it(`gives ${String(expected)} for ${word}`, () => {
      assert.equal(nearest(word, ['mknod', 'mknod-allow', 'sysinfo', 'quiet']), expected)
    })
  }
})
