// interceptor exec in the hands of an ordinary user.

import assert from 'node:assert/strict'
import {writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {interceptorIn} from '../../helpers/program.js'
import {runningContainers} from '../../helpers/running.js'
import type {Running} from '../../helpers/running.js'
import {skipUnlessPrograms, skipUnlessRootless} from '../../helpers/skip.js'
import {temporaryDirectories} from '../../helpers/temporary.js'

describe('interceptor exec of an ordinary user', () => {
  skipUnlessRootless()
  skipUnlessPrograms('newuidmap')
  const directory = temporaryDirectories()
  const start = runningContainers()
  let cwd = ''
  let first: Running
  before(async () => {
    cwd = directory()
    first = await start(cwd, ['--mknod'], 'readlink /proc/self/ns/*; echo ready; exec sleep 300')
  })
  const exec = (...words: string[]) => interceptorIn({cwd: '/'}, 'exec', ...words)

  it("shares the namespaces of the container's first command, as root of it", () => {
    const {status, stdout, stderr} = exec(first.name, 'sh', '-c', 'readlink /proc/self/ns/*; id -u; pwd')
    assert.deepEqual({status, stderr}, {status: 0, stderr: ''})
    assert.equal(stdout, `${first.written().replace('ready\n', '')}0\n${cwd}\n`)
  })

  it("finds an administrator's programs, which the PATH of a Debian user lacks", () => {
    const env = {PATH: '/usr/local/bin:/usr/bin:/bin'}
    const {stdout, stderr} = interceptorIn({cwd: '/', env}, 'exec', first.name, 'chroot', '--version')
    assert.match(stdout, /^chroot /u, stderr)
  })

  it('has its calls performed (M14)', () => {
    const {status, stderr} = exec(first.name, 'sh', '-c', 'mknod null c 1 3 && echo > null')
    assert.equal(status, 0, stderr)
    assert.match(stderr, /= 0 {2}emulated \(bind, /u)
  })

  it('takes another user of the container, and the standard streams', () => {
    const {stdout} = interceptorIn(
      {cwd: '/', input: 'words\n'},
      'exec',
      '--workdir',
      '/',
      '--user',
      '7:8',
      first.name,
      'sh',
      '-c',
      'cat; id -u',
    )
    assert.equal(stdout, 'words\n7\n')
  })

  it('hands over no descriptor but the three streams', () => {
    assert.equal(exec(first.name, 'sh', '-c', 'ls /proc/$$/fd; :').stdout, '0\n1\n2\n')
  })

  it('leaves no variable of its own in the environment', () => {
    assert.doesNotMatch(exec(first.name, 'env').stdout, /^INTERCEPTOR/mu)
  })

  it('enters a container with sources of mounts, which its supervisor holds', async () => {
    const own = directory()
    writeFileSync(join(own, 'image'), '')
    const {name} = await start(own, ['--mount-fuse', 'ext4=fuse2fs', '--mount-source', 'image'])
    const {status, stderr} = exec(name, 'mv', 'image', 'other')
    assert.deepEqual({status, stderr}, {status: 0, stderr: ''})
    assert.equal(exec(name, 'true').status, 0)
  })

  it('does not find the containers of others', () => {
    assert.match(exec('1', 'true').stderr, /cannot find a running container "1"/u)
  })
})
