// The built program in the hands of an ordinary user: containers without any privilege.

import assert from 'node:assert/strict'
import {spawn, spawnSync} from 'node:child_process'
import {once} from 'node:events'
import {chmodSync, lstatSync, readFileSync, readdirSync} from 'node:fs'
import {userInfo} from 'node:os'
import {join} from 'node:path'

import {subordinateRanges} from '../../../src/container/userns/idmap.js'
import {INTERCEPTOR, interceptorIn} from '../../helpers/program.js'
import {skipTestUnless, skipUnlessPrograms, skipUnlessRootless} from '../../helpers/skip.js'
import {temporaryDirectories} from '../../helpers/temporary.js'

describe('interceptor run of an ordinary user', () => {
  skipUnlessRootless()
  skipUnlessPrograms('newuidmap')
  const directory = temporaryDirectories()
  const own = userInfo()
  const [range] = subordinateRanges(readFileSync('/etc/subuid', 'utf8'), [own.username, String(own.uid)])
  let cwd = ''
  before(() => {
    cwd = directory()
  })
  const run = (...words: string[]) => interceptorIn({cwd}, 'run', ...words)

  it('makes the user root of a container', () => {
    assert.deepEqual(run('--', 'id', '-u'), {status: 0, signal: null, stdout: '0\n', stderr: ''})
  })

  it('shows help and nothing else, whatever variable is there', () => {
    for (const marker of [undefined, '1:2:3:4:none:0:0:0']) {
      const env = {INTERCEPTOR_USER_NAMESPACE: marker}
      for (const words of [
        ['run', '--help'],
        ['help', 'run', '--', 'true'],
      ]) {
        const {status, stdout, stderr} = interceptorIn({cwd, env}, ...words)
        assert.match(stdout, /^Run a command/m)
        assert.deepEqual([status, stderr], [0, ''])
      }
    }
  })

  it('gives the command the environment as it was, although Node starts twice', () => {
    // Node itself would read these certificates each time.
    const env = {NODE_EXTRA_CA_CERTS: '/no/such.pem', NODE_OPTIONS: '--no-warnings'}
    const {stdout} = interceptorIn({cwd, env}, 'run', '-q', '--', 'env')
    const lines = stdout.split('\n').filter((line) => /NODE_|INTERCEPTOR/.test(line))
    assert.deepEqual(lines.sort(), ['NODE_EXTRA_CA_CERTS=/no/such.pem', 'NODE_OPTIONS=--no-warnings'])
  })

  it("finds an administrator's programs, which the PATH of a Debian user lacks", () => {
    const env = {PATH: '/usr/local/bin:/usr/bin:/bin'}
    // chroot(8) lies in /usr/sbin alone.
    for (const words of [
      ['chroot', '--version'],
      ['sh', '-c', 'chroot --version'],
    ]) {
      const {status, stdout, stderr} = interceptorIn({cwd, env}, 'run', '--', ...words)
      assert.match(stdout, /^chroot /u, stderr)
      assert.equal(status, 0)
    }
  })

  it('gives the container the subordinate ids', function () {
    skipTestUnless(this, range !== undefined, 'the user has no range in /etc/subuid')
    const script = 'touch own other; chown 7:8 other; stat -c "%n %u %g" own other'
    assert.deepEqual(run('sh', '-c', script), {status: 0, signal: null, stdout: 'own 0 0\nother 7 8\n', stderr: ''})
    assert.equal(lstatSync(join(cwd, 'own')).uid, own.uid)
    assert.equal(lstatSync(join(cwd, 'other')).uid, range!.start + 6)
    assert.equal(run('rm', 'other').status, 0)
  })

  it('runs the command as another user of the container', () => {
    chmodSync(cwd, 0o755)
    const {stdout} = run('--user', '33:34', '--', 'sh', '-c', 'id -u; id -g; id -G; grep CapEff /proc/self/status')
    assert.equal(stdout, '33\n34\n34\nCapEff:\t0000000000000000\n')
  })

  it('shows the host read-only, with its own processes and mounts', () => {
    const {stdout} = run(
      'sh',
      '-c',
      'touch /usr/x; touch /etc/x; echo $$; readlink /proc/self | wc -l; ls -d /usr/x /etc/x',
    )
    assert.equal(stdout, '2\n1\n')
  })

  it('maps ids as told, by the numbers that the host has for them', function () {
    skipTestUnless(this, range !== undefined, 'the user has no range in /etc/subuid')
    const map = `0:${range!.start + 10}:1000`
    const {stdout, stderr} = run(
      '--uid-map',
      map,
      '--gid-map',
      map,
      '--bind',
      `${cwd}:/mnt`,
      '--',
      'cat',
      '/proc/self/uid_map',
    )
    assert.match(stdout, /^\s*0\s+11\s+1000\n$/u, stderr)
  })

  it('refuses to map an id that is not the user’s', () => {
    const {status, stderr} = run('--uid-map', '0:0:1', '--', 'true')
    assert.equal(status, 125)
    assert.match(
      stderr,
      /^interceptor: cannot use --uid-map 0:0:1: id 0 is not one of yours\nhint: ids that you may use: /u,
    )
  })

  it('keeps the bytes of words and of the environment, and adds nothing to them', () => {
    const script = 'printf %s "$1" | od -An -tx1; printf %s "$ODD" | od -An -tx1; env | grep -c INTERCEPTOR'
    const {stdout} = spawnSync(
      'bash',
      ['-c', `ODD=$'\\xfe' "$0" "$1" run sh -c '${script}' sh $'a\\xff b'`, process.execPath, INTERCEPTOR],
      {cwd, encoding: 'utf8'},
    )
    assert.equal(stdout, ' 61 ff 20 62\n fe\n0\n')
  })

  it('reads and writes descriptors that a shell names', () => {
    const {stdout, stderr} = spawnSync(
      'bash',
      ['-c', '"$0" "$1" run --mknod --log-file >(cat) --log-format json -- true', process.execPath, INTERCEPTOR],
      {cwd, encoding: 'utf8'},
    )
    assert.equal(stderr, '')
    assert.match(stdout, /"event":"start".*\n.*"event":"exit"/u)
  })

  it('stays the same process, to which signals go', async () => {
    const child = spawn(
      process.execPath,
      [INTERCEPTOR, 'run', '--', 'sh', '-c', 'trap "exit 9" TERM; echo ready; sleep 30 & wait'],
      {
        cwd,
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    )
    await once(child.stdout, 'data')
    child.kill('SIGTERM')
    const [status] = (await once(child, 'exit')) as [number | null]
    assert.equal(status, 9)
  })

  it('dies of the signal that ended the command', () => {
    assert.equal(run('sh', '-c', 'kill -KILL $$').signal, 'SIGKILL')
    assert.equal(run('sh', '-c', 'exit 42').status, 42)
    assert.equal(run('no-such-program').status, 127)
  })

  it('emulates nodes and keeps them in the tree until they are removed', () => {
    const {stdout, stderr} = run(
      '--mknod',
      '--',
      'sh',
      '-c',
      'mknod -m 600 n c 1 3 && stat -c "%F %t:%T" n && echo x > n && mv n m && rm m',
    )
    assert.equal(stdout, 'character special file 1:3\n', stderr)
    assert.match(stderr, /emulated \(bind, /u)
    assert.ok(!readdirSync(cwd).includes('m'))
  })

  it('says that limits need a cgroup of the user’s own, or applies them', () => {
    const {status, stdout, stderr} = run('--pids', '50', '--', 'sh', '-c', 'echo started')
    if (status === 0) return
    assert.deepEqual({status, stdout}, {status: 125, stdout: ''})
    assert.match(stderr, /^interceptor: cannot limit the container: .*\n(hint: .*\n)*hint: leave out --pids\n/u)
  })
})
