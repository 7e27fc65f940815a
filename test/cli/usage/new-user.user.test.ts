// What an ordinary user is told of files that only others can read.

import assert from 'node:assert/strict'
import {writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {interceptorIn, isRoot} from '../../helpers/program.js'
import {skipUnless} from '../../helpers/skip.js'
import {temporaryDirectories} from '../../helpers/temporary.js'

describe('a file that cannot be read', () => {
  skipUnless(!isRoot(), 'root can read every file')
  const directory = temporaryDirectories()
  let work: string

  before(() => {
    work = directory()
    // The supervisor is root of the user's own ids: a file of the user's own it could read whatever its mode.
    writeFileSync(join(work, 'program'), '')
  })

  const wrong: readonly [readonly string[], number, RegExp][] = [
    [['run', '--config', '/etc/shadow', 'true'], 125, /cannot read the configuration \/etc\/shadow: .*denied/],
    [['explain', '--config', '/etc/shadow'], 2, /cannot read the configuration \/etc\/shadow: .*denied/],
    [['explain', '--strace', '/etc/shadow'], 2, /cannot read \/etc\/shadow: .*denied/],
    [['explain', '--log', '/etc/ssl/private/log'], 2, /cannot read \/etc\/ssl\/private\/log: /],
    [['run', '--log-file', '/etc/shadow', 'true'], 125, /cannot write the log \/etc\/shadow: .*denied/],
    [['run', '--manifest', '/etc/manifest', 'true'], 125, /cannot write the manifest \/etc\/manifest: .*denied/],
    [['run', './program'], 126, /cannot execute \.\/program: .*denied/],
  ]
  for (const [words, status, pattern] of wrong) {
    it(`is named by "${words.join(' ')}", with the reason`, () => {
      const ended = interceptorIn({cwd: work}, ...words)
      assert.match(ended.stderr, pattern)
      assert.match(ended.stderr, /^interceptor: [^\n]+\n(hint: [^\n]+\n)*$/)
      assert.deepEqual([ended.status, ended.stdout], [status, ''])
    })
  }
})
