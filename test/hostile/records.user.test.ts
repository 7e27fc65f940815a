import assert from 'node:assert/strict'

import {interceptorIn, succeed} from '../helpers/program.js'
import {skipUnlessPrograms, skipUnlessRootless} from '../helpers/skip.js'
import {temporaryDirectories} from '../helpers/temporary.js'

const FORGE = `mkdir t t/d; setfattr -n user.interceptor.trusted.overlay.redirect -v /evil t/d; touch t/sda t/null
  setfattr -n user.containers.override_stat -v 0:0:0666:block-8-0 t/sda
  setfattr -n user.containers.override_stat -v 0:0:0666:char-1-3 t/null`

describe('records that a container forges', function () {
  this.timeout(60_000)
  skipUnlessRootless()
  skipUnlessPrograms('newuidmap', 'setfattr', 'python3')
  const temporary = temporaryDirectories()

  const exported = (cwd: string, ...flags: string[]) => {
    const words = ['--export', 'x.tar', '--export-root', 't', '--', 'sh', '-c', FORGE]
    const ended = interceptorIn({cwd}, 'run', ...flags, ...words)
    assert.equal(ended.status, 0, ended.stderr)
    const listed = succeed({cwd}, 'tar', '--xattrs', '--xattrs-include=*', '-tvvf', 'x.tar')
    return {...ended, listed}
  }

  it('become no nodes and no trusted attributes of an archive without a policy, which is said', () => {
    const {listed, stderr} = exported(temporary())
    assert.doesNotMatch(listed, /trusted\./u)
    assert.doesNotMatch(listed, /^[cb]/mu)
    assert.match(
      stderr,
      /trusted attributes that are not allowlisted are not in the archive; --setxattr-allow trusted/u,
    )
    assert.match(stderr, /recorded device nodes that are not allowlisted are empty files/u)
  })

  it('become what the policy of this run allows, and no more', () => {
    const {listed} = exported(temporary(), '--mknod', '--setxattr-allow', 'trusted.overlay.opaque')
    assert.doesNotMatch(listed, /trusted\.overlay\.redirect/u)
    assert.deepEqual(
      listed.match(/^[cb].*$/gmu)?.map((line) => line.replace(/.*\.\//u, '')),
      ['null'],
    )
  })

  it('are not made by way of a ring: io_uring is not there while attributes are decided on', () => {
    const setup =
      'import ctypes; l = ctypes.CDLL(None, use_errno=True); print(l.syscall(425, 1, ctypes.create_string_buffer(120)) < 0 and ctypes.get_errno())'
    const run = (...flags: string[]) => interceptorIn({cwd: temporary()}, 'run', ...flags, '--', 'python3', '-c', setup)
    const {stdout, stderr} = run('--setxattr')
    assert.equal(stdout, '38\n')
    assert.match(stderr, /io_uring_setup\(.*-1 ENOSYS {2}refused/u)
    assert.notEqual(run().stdout, '38\n')
  })
})
