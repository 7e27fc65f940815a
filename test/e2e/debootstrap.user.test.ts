// The main job without any privilege: an ordinary user makes a Debian tree, and removes it again.

import assert from 'node:assert/strict'
import {existsSync, lstatSync, readFileSync} from 'node:fs'
import {userInfo} from 'node:os'
import {join} from 'node:path'

import {subordinateRanges} from '../../src/container/userns/idmap.js'
import {mirrorAnswers, SUITE} from '../helpers/debian.js'
import type {Ended} from '../helpers/program.js'
import {interceptorIn} from '../helpers/program.js'
import {skipTestUnless, skipUnlessPrograms, skipUnlessRootless} from '../helpers/skip.js'
import {temporaryDirectories} from '../helpers/temporary.js'

const LIMIT_MS = 10 * 60_000

describe('debootstrap in a container of an ordinary user', function () {
  this.timeout(LIMIT_MS)
  skipUnlessRootless()
  skipUnlessPrograms('debootstrap', 'newuidmap', 'wget')
  const temporary = temporaryDirectories()
  const own = userInfo()
  let cwd = ''
  let ended: Ended | undefined

  before(function () {
    skipTestUnless(this, mirrorAnswers(), 'no Debian mirror can be reached')
    cwd = temporary()
    const mirror = process.env['DEBIAN_MIRROR']
    const words = ['debootstrap', '--variant=minbase', SUITE, 'rootfs', ...(mirror === undefined ? [] : [mirror])]
    ended = interceptorIn({cwd, timeoutMs: LIMIT_MS}, 'run', '--mknod', '--sysinfo', '--', ...words)
  })

  it('ends well', () => {
    assert.equal(ended?.status, 0, ended?.stderr)
    assert.match(ended.stdout, /Base system installed successfully/u)
  })

  it('is refused nothing', () => {
    assert.doesNotMatch(ended?.stderr ?? '', /^interceptor: .* {2}(refused|failed)/mu)
  })

  it('makes files of other owners, all of them the user’s subordinate ids', () => {
    const [range] = subordinateRanges(readFileSync('/etc/subgid', 'utf8'), [own.username, String(own.uid)])
    assert.equal(lstatSync(join(cwd, 'rootfs/etc/passwd')).uid, own.uid)
    // Group shadow is 42 in every Debian, and the first subordinate id is the container's 1.
    assert.equal(lstatSync(join(cwd, 'rootfs/etc/shadow')).gid, range!.start + 41)
  })

  it('makes a tree in which programs of it run', () => {
    const run = interceptorIn(
      {cwd},
      'run',
      '--rootfs',
      'rootfs',
      '--',
      'sh',
      '-c',
      'id -un; dpkg --audit; apt-get check',
    )
    assert.deepEqual({status: run.status, first: run.stdout.split('\n')[0]}, {status: 0, first: 'root'}, run.stderr)
  })

  it('can remove what the user alone can not', () => {
    assert.deepEqual(interceptorIn({cwd}, 'run', 'rm', '-rf', 'rootfs'), {
      status: 0,
      signal: null,
      stdout: '',
      stderr: '',
    })
    assert.ok(!existsSync(join(cwd, 'rootfs')))
  })
})
