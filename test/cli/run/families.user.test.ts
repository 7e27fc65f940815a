// Attributes, scheduling and modules without root: what is kept in the user's own way, and what only root could do.

import assert from 'node:assert/strict'
import {writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {madeModule} from '../../helpers/kernel-module.js'
import {interceptorIn, succeed} from '../../helpers/program.js'
import {skipTestUnless, skipUnlessPrograms, skipUnlessRootless} from '../../helpers/skip.js'
import {temporaryDirectories} from '../../helpers/temporary.js'

describe('--device of an ordinary user', () => {
  skipUnlessRootless()
  skipUnlessPrograms('newuidmap')
  const directory = temporaryDirectories()

  it('gives what the user may open, and says where that is less than was asked for', () => {
    const flags = ['--device', '/dev/zero:0600', '--device', '/dev/loop-control']
    const {status, stdout, stderr} = interceptorIn(
      {cwd: directory()},
      ...[
        'run',
        ...flags,
        '--',
        'sh',
        '-c',
        'head -c 2 /dev/zero | od -An -tx1; ! true 2>/dev/null </dev/loop-control',
      ],
    )
    assert.equal(status, 0, stderr)
    assert.equal(stdout, ' 00 00\n')
    assert.match(stderr, /--device \/dev\/zero keeps the owner and the mode of the host's node/)
    assert.match(stderr, /--device \/dev\/loop-control cannot be opened in the container: this user may not open it/)
  })
})

describe('--setxattr of an ordinary user', () => {
  skipUnlessRootless()
  skipUnlessPrograms('newuidmap', 'setfattr', 'getfattr', 'setpriv')
  const directory = temporaryDirectories()
  const run = (cwd: string, script: string) => interceptorIn({cwd}, 'run', '--setxattr', '--', 'sh', '-c', script)

  it('B7: keeps trusted attributes as user attributes and shows them as what they are', () => {
    const cwd = directory()
    const {status, stdout, stderr} = run(
      cwd,
      `set -e; mkdir d; touch f; chown 7:8 f; chmod 0 f
       for n in d f; do setfattr -n trusted.overlay.opaque -v $n $n; done
       setfattr -n user.own -v 1 d; getfattr -d -m - d f; setfattr -x trusted.overlay.opaque f; getfattr -d -m - f`,
    )
    assert.equal(status, 0, stderr)
    const shown = (name: string, more = '') => `# file: ${name}\ntrusted.overlay.opaque="${name}"\n${more}\n`
    assert.equal(stdout, shown('d', 'user.own="1"\n') + shown('f'))
    const kept = succeed({cwd}, 'getfattr', '-d', '-m', '-', 'd')
    assert.equal(kept, '# file: d\nuser.interceptor.trusted.overlay.opaque="d"\nuser.own="1"\n\n')
  })

  it('B7: hides the place where they are kept, and lets nobody write there', () => {
    const {stdout, stderr} = run(
      directory(),
      `mkdir d; setfattr -n trusted.overlay.opaque -v y d; chmod 755 d .
       setfattr -n user.interceptor.trusted.x -v y d; setfattr -x user.interceptor.trusted.overlay.opaque d
       getfattr -n user.interceptor.trusted.overlay.opaque d
       getfattr -d -m - d; setpriv --reuid 5 --clear-groups getfattr -d -m - d; echo end`,
    )
    assert.equal(stdout, '# file: d\ntrusted.overlay.opaque="y"\n\nend\n')
    assert.equal(stderr.match(/refused: user\.interceptor\.trusted\.\* is where/gu)?.length, 2)
    assert.match(stderr, /getfattr: .*No such attribute|user\.interceptor\.trusted\.overlay\.opaque: No such/u)
  })

  it('has the errors of user attributes where there are none', () => {
    const {stdout} = run(
      directory(),
      `ln -s none l; mkfifo p; setfattr -h -n trusted.overlay.opaque -v y l 2>&1; setfattr -n trusted.overlay.opaque -v y p 2>&1
       setfattr -n trusted.overlay.opaque -v y /usr/bin/env 2>&1; setfattr -n trusted.overlay.opaque -v y l 2>&1`,
    )
    assert.deepEqual(stdout.replace(/^setfattr: /gmu, '').split('\n'), [
      'l: Operation not permitted',
      'p: Operation not permitted',
      '/usr/bin/env: Read-only file system',
      'l: No such file or directory',
      '',
    ])
  })
})

describe('--sched-setscheduler of an ordinary user', () => {
  skipUnlessRootless()
  skipUnlessPrograms('newuidmap', 'chrt', 'setpriv')
  const directory = temporaryDirectories()
  const run = (script: string) =>
    interceptorIn({cwd: directory()}, 'run', '--sched-setscheduler', '--', 'sh', '-c', script)

  it('B14: changes processes of every user of the container, as far as limits reach', function () {
    const limit = succeed({}, 'sh', '-c', 'ulimit -r').trim()
    skipTestUnless(this, limit === '0', 'this user may have real-time priorities')
    const {stdout, stderr} = run(
      `setpriv --reuid 5 --clear-groups sleep 30 & P=$!; sleep .3; chrt -b -p 0 $P; chrt -p $P; chrt -f -p 10 $P; kill $P`,
    )
    assert.match(stdout, /SCHED_BATCH/u, stderr)
    assert.match(stderr, /-1 EPERM {2}failed .*: without root, priorities reach as far as RLIMIT_RTPRIO/u)
  })
})

describe('--finit-module of an ordinary user', () => {
  skipUnlessRootless()
  skipUnlessPrograms('newuidmap', 'insmod')
  const directory = temporaryDirectories()

  it('M12: names what only root can do', () => {
    const cwd = directory()
    writeFileSync(join(cwd, 'm.ko'), madeModule('interceptor_test_none'))
    const {status, stderr} = interceptorIn({cwd}, 'run', '--finit-module', 'interceptor-test-none', 'insmod', 'm.ko')
    assert.equal(status, 1)
    assert.match(stderr, /-1 EPERM {2}refused: only root can load modules of the host/u)
  })
})
