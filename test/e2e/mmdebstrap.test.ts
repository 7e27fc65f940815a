// mmdebstrap as root of an ordinary user's container, in the mode that it has for real root.

import assert from 'node:assert/strict'
import {join} from 'node:path'

import {SUITE, mirrorAnswers} from '../helpers/debian.js'
import {hasOrdinaryUser, ordinaryUser} from '../helpers/ordinary-user.js'
import {succeed} from '../helpers/program.js'
import {skipTestUnless, skipUnless, skipUnlessPrivileged, skipUnlessPrograms} from '../helpers/skip.js'
import {temporaryDirectories} from '../helpers/temporary.js'

const LIMIT_MS = 10 * 60_000

describe("mmdebstrap in an ordinary user's container", function () {
  this.timeout(LIMIT_MS)
  skipUnlessPrivileged()
  skipUnless(hasOrdinaryUser(), 'the set-up has made no ordinary user')
  skipUnlessPrograms('mmdebstrap', 'wget', 'newuidmap')
  const temporary = temporaryDirectories()

  before(function () {
    skipTestUnless(this, mirrorAnswers(), 'no Debian mirror can be reached')
  })

  it('makes an image with its device nodes', () => {
    const user = ordinaryUser(temporary())
    const mirror = process.env['DEBIAN_MIRROR']
    // The smallest set of packages: what matters is how it works, not what is in the image.
    const what = ['--mode=root', '--variant=extract', '--include=base-files,base-passwd,busybox']
    const words = ['mmdebstrap', ...what, SUITE, 'image.tar', ...(mirror === undefined ? [] : [mirror])]
    const ended = user.interceptor({timeoutMs: LIMIT_MS}, 'run', '--mknod', '--sysinfo', '--', ...words)
    assert.equal(ended.status, 0, ended.stderr)
    assert.doesNotMatch(ended.stderr, /^interceptor: .* {2}(refused|failed)/mu)
    const listed = succeed({}, 'tar', '--numeric-owner', '-tvf', join(user.home, 'image.tar'))
    for (const [name, numbers] of [
      ['null', '1,3'],
      ['console', '5,1'],
      ['tty', '5,0'],
    ] as const)
      assert.match(listed, new RegExp(`^crw-rw-rw- 0/0 +${numbers} .* \\./dev/${name}$`, 'mu'))
  })
})
