// What an ordinary user is told on systems that lack something, each made for one command with root's help.

import assert from 'node:assert/strict'
import {chownSync} from 'node:fs'

import {readIdSources} from '../../../src/container/userns/idmap.js'
import {hasProgram, INTERCEPTOR, programIn} from '../../helpers/program.js'
import {skipUnless, skipUnlessPrivileged, skipUnlessPrograms} from '../../helpers/skip.js'
import {temporaryDirectories} from '../../helpers/temporary.js'

const USER = 'interceptor-test'

describe('advice to an ordinary user', () => {
  skipUnlessPrivileged()
  const line = readIdSources()
    .passwd.split('\n')
    .find((each) => each.startsWith(`${USER}:`))
  skipUnless(line !== undefined, `there is no user ${USER}`)
  skipUnless(hasProgram('newuidmap'), 'newuidmap not installed')
  skipUnlessPrograms('unshare', 'setpriv')
  const directory = temporaryDirectories()
  const [uid = '', gid = ''] = line?.split(':').slice(2) ?? []
  let cwd = ''
  before(() => {
    cwd = directory()
    chownSync(cwd, Number(uid), Number(gid))
  })

  const asUser = ['setpriv', '--reuid', USER, '--regid', gid, '--init-groups']
  const run = [process.execPath, INTERCEPTOR, 'run']

  const start = ([program = '', ...words]: readonly string[]) => programIn({cwd}, program, ...words)

  /** `change` happens in a mount namespace of its own, as root. */
  function onSystemWith(change: string, ...words: string[]) {
    const script = `${change} && exec "$@"`
    return start(['unshare', '-m', 'sh', '-c', script, 'sh', ...asUser, ...run, ...words])
  }

  /** `change` happens in a user namespace of the user's own, where the limits are its own as well. */
  function inNamespaceWith(change: string, ...words: string[]) {
    return start([...asUser, 'unshare', '-Ur', 'sh', '-c', `${change} && exec "$@"`, 'sh', ...run, ...words])
  }

  it('goes on with one id where the user has no range, and tells how to get one', () => {
    const script = 'cat /proc/self/uid_map; chown 5 .; echo $?'
    const {status, stdout, stderr} = onSystemWith('mount --bind /dev/null /etc/subuid', 'sh', '-c', script)
    assert.equal(status, 0)
    assert.match(stdout, /^\s*0\s+0\s+1\n1\n$/u)
    const [told, kernel] = stderr.split('\n')
    assert.match(
      told ?? '',
      /^interceptor: the container has one user and one group id, so chown and setuid to others fail with EINVAL: interceptor-test has no range in \/etc\/subuid and \/etc\/subgid; an administrator can run: usermod --add-subuids (\d+)-(\d+) --add-subgids \1-\2 interceptor-test$/u,
    )
    assert.match(kernel ?? '', /^chown: .*Invalid argument$/u)
  })

  it('goes on with one id where newuidmap is missing, and names its package', () => {
    const {status, stdout, stderr} = onSystemWith('mount --bind /dev/null /usr/bin/newuidmap', 'id', '-u')
    assert.deepEqual({status, stdout}, {status: 0, stdout: '0\n'})
    assert.match(
      stderr,
      /^interceptor: .*: newuidmap and newgidmap are not installed; an administrator can run: apt-get install uidmap /u,
    )
  })

  it('goes on with one id where newuidmap can get no privilege', () => {
    const words = [...asUser, '--no-new-privs', ...run, '--', 'id', '-u']
    const {status, stdout, stderr} = start(words)
    assert.deepEqual({status, stdout}, {status: 0, stdout: '0\n'})
    assert.match(stderr, /^interceptor: .*: newuidmap can't be used under no_new_privs; /u)
  })

  it('goes on with one group id where newgidmap fails', () => {
    const {status, stdout, stderr} = onSystemWith(
      'mount --bind /bin/false /usr/bin/newgidmap',
      'cat',
      '/proc/self/gid_map',
    )
    assert.deepEqual({status, stdout: stdout.trim().split(/\s+/u)}, {status: 0, stdout: ['0', '0', '1']})
    assert.match(stderr, /^interceptor: .*: newuidmap failed; see why: /u)
  })

  it('says nothing of it with --quiet', () => {
    assert.deepEqual(onSystemWith('mount --bind /dev/null /etc/subgid', '--quiet', '--', 'true'), {
      status: 0,
      signal: null,
      stdout: '',
      stderr: '',
    })
  })

  for (const name of ['max_user_namespaces', 'max_mnt_namespaces']) {
    it(`names user.${name} where it is 0`, () => {
      const {status, stdout, stderr} = inNamespaceWith(`echo 0 >/proc/sys/user/${name}`, 'true')
      assert.deepEqual(
        {status, stdout, stderr},
        {
          status: 125,
          stdout: '',
          stderr:
            `interceptor: cannot make a user namespace: they are switched off (user.${name} is 0)\n` +
            `hint: an administrator can run: sysctl -w user.${name}=15000\n`,
        },
      )
    })
  }

  it('names user.max_user_namespaces where it leaves too few', () => {
    const {status, stderr} = inNamespaceWith('echo 1 >/proc/sys/user/max_user_namespaces', 'true')
    assert.equal(status, 125)
    assert.match(stderr, /limit of namespaces is reached.*\nhint: .*user\.max_user_namespaces\n$/u)
  })

  it('shows help and wrong usage before anything else', () => {
    const help = inNamespaceWith('echo 0 >/proc/sys/user/max_user_namespaces', '--help')
    assert.equal(help.status, 0)
    assert.match(help.stdout, /^Run a command /u)
    const wrong = inNamespaceWith('echo 0 >/proc/sys/user/max_user_namespaces', '--mknodd')
    assert.match(wrong.stderr, /^interceptor: .*--mknodd/u)
  })

  it('serves root without the privileges that a container needs', () => {
    const words = [
      'setpriv',
      '--bounding-set',
      '-sys_admin,-mknod',
      '--inh-caps',
      '-all',
      ...run,
      '--bind',
      `${cwd}:/mnt`,
      '--',
      'cat',
      '/proc/self/uid_map',
    ]
    const {status, stdout} = start(words)
    assert.deepEqual({status, stdout: stdout.trim().split(/\s+/u)}, {status: 0, stdout: ['0', '0', '65536']})
  })

  it('tells root without CAP_SETFCAP that it cannot map itself', () => {
    const words = ['setpriv', '--bounding-set', '-all', '--inh-caps', '-all', ...run, '--', 'true'] as [
      string,
      ...string[],
    ]
    const {status, stderr} = start(words)
    assert.equal(status, 125)
    assert.match(stderr, /^interceptor: cannot make a user namespace: root without CAP_SETFCAP may not map itself: /u)
  })
})
