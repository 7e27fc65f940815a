// Lookups and rights in a caller's place, compared with what the kernel itself would give that caller.

import assert from 'node:assert/strict'
import {chmodSync, chownSync, lstatSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'

import {ERRNO} from '../../../src/kernel/errno.js'
import {family} from '../../fixtures/probe-family.js'
import {NotifyChild, buildNotifyChild} from '../../helpers/notify-child.js'
import {skipUnlessRoot} from '../../helpers/skip.js'

const module = new URL('../../fixtures/probe-family.ts', import.meta.url).href
const AT_FDCWD = -100
const FOLLOW = 0
const NO_FOLLOW = 1
const PARENT = 2
/** A character device 1:3. */
const MODE = 0o20666
const NULL = 0x103

describe('a caller', () => {
  skipUnlessRoot()
  let program: string
  let top: string
  let child: NotifyChild

  before(() => {
    program = buildNotifyChild()
  })

  beforeEach(async () => {
    top = mkdtempSync(join(tmpdir(), 'caller-'))
    chmodSync(top, 0o755)
    const directory = (name: string, uid: number, mode: number, gid = uid): void => {
      mkdirSync(join(top, name))
      chownSync(join(top, name), uid, gid)
      chmodSync(join(top, name), mode)
    }
    directory('own', 100_000, 0o755)
    directory('own/sub', 100_000, 0o755)
    directory('user', 101_000, 0o755)
    directory('private', 101_000, 0o700)
    directory('private/inner', 101_000, 0o755)
    directory('mixed', 101_000, 0o700, 0)
    directory('mixed/inner', 101_000, 0o755)
    directory('host', 0, 0o755)
    directory('secret', 0, 0o700)
    directory('secret/inner', 100_000, 0o755)
    directory('group', 0, 0o775, 100_005)
    symlinkSync(join(top, 'own/sub'), join(top, 'own/absolute'))
    symlinkSync('../own/sub', join(top, 'own/up'))
    symlinkSync('loop', join(top, 'own/loop'))
    symlinkSync('sub/..', join(top, 'own/back'))
    symlinkSync('../secret/inner', join(top, 'own/to-secret'))
    child = await NotifyChild.start(program, {module, family})
  })

  afterEach(async () => {
    await child.end()
    rmSync(top, {recursive: true})
    assert.deepEqual(child.fatal, [])
  })

  const inode = (name: string): number => statSync(join(top, name)).ino % 2 ** 30
  const finds = async (path: string, name: string, how = FOLLOW, dirfd = AT_FDCWD): Promise<void> => {
    assert.deepEqual(await child.run('faccessat', dirfd, path, how), {result: inode(name), errno: 0}, path)
  }
  const fails = async (path: string, errno: keyof typeof ERRNO, how = FOLLOW, dirfd = AT_FDCWD): Promise<void> => {
    assert.deepEqual(await child.run('faccessat', dirfd, path, how), {result: -1, errno: ERRNO[errno]}, path)
  }
  const makes = async (path: string, errno?: keyof typeof ERRNO): Promise<void> => {
    const expected = errno === undefined ? {result: 0, errno: 0} : {result: -1, errno: ERRNO[errno]}
    assert.deepEqual(await child.run('mknodat', AT_FDCWD, path, MODE, NULL), expected, path)
  }

  it('is followed along absolute and relative paths, `..` and links', async () => {
    await finds(join(top, 'own/sub'), 'own/sub')
    await child.run('chdir', join(top, 'own'))
    await finds('sub', 'own/sub')
    await finds('./sub/', 'own/sub')
    await finds('../own/sub', 'own/sub')
    await finds('sub/../../user', 'user')
    await finds('absolute', 'own/sub')
    await finds('up', 'own/sub')
    await finds(`../../../../../../..${join(top, 'own')}`, 'own')
    await finds('sub/..', 'own')
    await finds('new', 'own', PARENT)
    await finds('sub/new/', 'own/sub', PARENT)
    assert.deepEqual(await child.run('faccessat', AT_FDCWD, 'up', NO_FOLLOW), {
      result: lstatSync(join(top, 'own/up')).ino % 2 ** 30,
      errno: 0,
    })
  })

  it('gets the errors of the kernel', async () => {
    await child.run('chdir', join(top, 'own'))
    await fails('', 'ENOENT', PARENT)
    await fails('absent', 'ENOENT')
    await fails('absent/x', 'ENOENT', PARENT)
    await fails('loop', 'ELOOP')
    await fails('loop/x', 'ELOOP', PARENT)
    await fails('a'.repeat(256), 'ENAMETOOLONG')
    await fails('./'.repeat(2048), 'ENAMETOOLONG')
    await fails('sub', 'EBADF', FOLLOW, 77)
    await finds(join(top, 'own'), 'own', FOLLOW, 77)
  })

  it('is looked up from its own root, directory, descriptors and thread', async () => {
    await child.run('chdir', join(top, 'own'))
    const {result: dirfd} = await child.run('open', join(top, 'user'))
    await finds('.', 'user', FOLLOW, dirfd)
    await finds('../own', 'own', FOLLOW, dirfd)
    await child.run('thread', 'chdir', join(top, 'private'))
    const found = await child.run('thread', 'faccessat', AT_FDCWD, 'inner', FOLLOW)
    assert.deepEqual(found, {result: inode('private/inner'), errno: 0})
    assert.deepEqual(await child.run('thread', 'chroot', top), {result: 0, errno: 0})
    await child.run('thread', 'chdir', '/own')
    const inside = async (path: string): Promise<object> =>
      await child.run('thread', 'faccessat', AT_FDCWD, path, FOLLOW)
    assert.deepEqual(await inside('/own/sub'), {result: inode('own/sub'), errno: 0})
    assert.deepEqual(await inside('../../../user'), {result: inode('user'), errno: 0})
    assert.deepEqual(await inside('absolute'), {result: -1, errno: ERRNO.ENOENT})
    await finds('sub', 'own/sub')
  })

  it('stays at its root where `..` leads to it from outside', async () => {
    await child.run('chdir', join(top, 'own'))
    await finds('back', 'own')
    await child.run('chroot', join(top, 'own/sub'))
    await finds('sub/..', 'own/sub')
    await finds('sub/../../..', 'own/sub')
    await finds('back', 'own/sub')
    await finds('sub/../new', 'own/sub', PARENT)
    await finds('../user', 'user')
  })

  it('may search what its own map covers, and nothing of the host', async () => {
    await finds(join(top, 'private/inner'), 'private/inner')
    await finds(join(top, 'private/inner/../../own/up'), 'own/sub')
    await fails(join(top, 'secret/inner'), 'EACCES')
    await fails(join(top, 'private/../secret/inner'), 'EACCES')
    await fails(join(top, 'own/to-secret'), 'EACCES')
    await fails(join(top, 'mixed/inner'), 'EACCES')
    await child.run('dropcap', 1)
    await child.run('dropcap', 2)
    await fails(join(top, 'private/inner'), 'EACCES')
  })

  it('makes files where the kernel would let it, and no others', async () => {
    await makes(join(top, 'own/a'))
    const made = lstatSync(join(top, 'own/a'))
    assert.deepEqual([made.uid, made.gid, made.mode, made.rdev], [100_000, 100_000, 0o20644, NULL])
    await makes(join(top, 'own/a'), 'EEXIST')
    await makes(join(top, 'user/a'))
    await makes(join(top, 'private/a'))
    await makes(join(top, 'host/a'), 'EACCES')
    await makes(join(top, 'mixed/a'), 'EACCES')
    await makes(join(top, 'secret/a'), 'EACCES')
    await makes(join(top, 'group/a'), 'EACCES')
    await child.run('setgroups', 5)
    await makes(join(top, 'group/a'))
    await child.run('umask', 0o77)
    await makes(join(top, 'own/b'))
    assert.equal(lstatSync(join(top, 'own/b')).mode, 0o20600)
    await child.run('dropcap', 1)
    await makes(join(top, 'user/b'), 'EACCES')
    await child.run('setfsuid', 1000)
    await makes(join(top, 'user/c'))
    assert.equal(lstatSync(join(top, 'user/c')).uid, 101_000)
  })

  it('has no DAC rights from a user namespace of its own', async () => {
    // CLONE_NEWUSER: all capabilities, in a namespace without a map.
    assert.deepEqual(await child.run('unshare', 0x1000_0000), {result: 0, errno: 0})
    await fails(join(top, 'private/inner'), 'EACCES')
    await makes(join(top, 'user/a'), 'EACCES')
  })
})
