// Device nodes where the file system opens none: bound over placeholders, and what programs do with them next.

import assert from 'node:assert/strict'

import {NULL, ZERO, callsInContainers} from '../../helpers/file-calls.js'
import {skipUnlessPrivileged, skipUnlessPrograms} from '../../helpers/skip.js'
import {temporaryDirectories} from '../../helpers/temporary.js'

const [EPERM, ENOENT, EACCES, EBUSY, EEXIST, ENOTDIR, ENOTEMPTY] = [-1, -2, -13, -16, -17, -20, -39]
const CAP_MKNOD = 27
const CLONE_NEWNS = 0x20000

describe('mknod on a file system that opens no device nodes', function () {
  this.timeout(120_000)
  skipUnlessPrivileged()
  skipUnlessPrograms('cc')
  const {expects} = callsInContainers(temporaryDirectories())

  const inside = [
    ['umask:0', 0],
    ['mkdir:/tmp/t:0755', 0],
    ['tmpfs:/tmp/t', 0],
    ['chdir:/tmp/t', 0],
  ] as const

  it('binds nodes with owner, mode and group as the kernel would give them', async () => {
    const {decisions} = await expects([
      ...inside,
      [`mknod:n:${NULL}`, 0],
      ['stat:n', '20666 0:0 1:3 1 0'],
      ['use:n:w', 1],
      ['umask:027', 0],
      ['mkdir:d:0755', 0],
      ['chown:d:0:77', 0],
      ['chmod:d:02775', 0],
      ['fsids:1000:77', 0],
      [`raise:${CAP_MKNOD}`, 0],
      [`mknod:d/zero:${ZERO}`, 0],
      ['stat:d/zero', '20640 1000:77 1:5 1 0'],
      ['use:d/zero:r', 1],
    ])
    assert.deepEqual(
      decisions.map(({strategy, created}) => [strategy, created?.['uid'], created?.['gid'], created?.['mode']]),
      [
        ['bind', 0, 0, 0o666],
        ['bind', 1000, 77, 0o640],
      ],
    )
  })

  it('binds them on a mount with nodev too', async () => {
    await expects([
      ['chdir:/tmp', 0],
      [`mknod:n:${NULL}`, 0],
      ['use:n:w', 1],
    ])
  })

  it('has the same errors there and leaves nothing behind', async () => {
    await expects([
      ...inside,
      ['create:file:0644', 0],
      [`mknod:file:${NULL}`, EEXIST],
      ['stat:file', '100644 0:0 0:0 1 0'],
      [`mknod:n:${NULL}`, 0],
      [`mknod:n:${NULL}`, EEXIST],
      [`mknod:n/:${NULL}`, EEXIST],
      [`mknod:m/:${NULL}`, ENOENT],
      [`mknod:.:${NULL}`, EEXIST],
      [`mknod:x/n:${NULL}`, ENOENT],
      [`mknod:file/n:${NULL}`, ENOTDIR],
      ['mknod:sda:060660:8:0', EPERM],
      ['unlink:n', 0],
      ['unlink:file', 0],
      ['chdir:/', 0],
      ['mkdir:/tmp/t/d:0755', 0],
      ['rmdir:/tmp/t/d', 0],
    ])
  })

  it('lets them be changed, renamed, linked and removed like nodes', async () => {
    const {decisions} = await expects([
      ...inside,
      ['mkdir:d:0755', 0],
      [`mknod:n:${NULL}`, 0],
      ['chmod:n:0600', 0],
      ['chown:n:5:6', 0],
      ['stat:n', '20600 5:6 1:3 1 0'],
      ['rename:n:d/n:0', 0],
      ['stat:n', ENOENT],
      ['link:d/n:m', 0],
      ['stat:m', '20600 5:6 1:3 2 0'],
      ['use:m:w', 1],
      ['rename:m:d/n:0', 0],
      ['stat:m', '20600 5:6 1:3 2 0'],
      ['rmdir:d', ENOTEMPTY],
      ['unlink:d/n', 0],
      ['rmdir:d', 0],
      ['stat:m', '20600 5:6 1:3 1 0'],
      ['create:file:0644', 0],
      ['rename:m:file:0', 0],
      ['stat:file', '20600 5:6 1:3 1 0'],
      ['create:other:0644', 0],
      ['rename:other:file:0', 0],
      ['stat:file', '100644 0:0 0:0 1 0'],
      ['unlink:file', 0],
    ])
    assert.equal(decisions.at(-1)?.syscall.startsWith('rename'), true)
    assert.equal(decisions.at(-1)?.created?.['removed'], true)
  })

  it('exchanges two of them, and does not replace one where it must not', async () => {
    const {decisions} = await expects([
      ...inside,
      [`mknod:a:${NULL}`, 0],
      [`mknod:b:${ZERO}`, 0],
      ['rename:a:b:1', EEXIST],
      ['rename:a:b:2', 0],
      ['stat:a', '20640 0:0 1:5 1 0'],
      ['stat:b', '20666 0:0 1:3 1 0'],
      ['use:a:r', 1],
      ['use:b:w', 1],
    ])
    const created = decisions.at(-1)?.created
    assert.deepEqual([created?.path, created?.['movedTo'], created?.['exchanged']].map(String), [
      '/tmp/t/a',
      '/tmp/t/b',
      'true',
    ])
  })

  it('knows one that is renamed to its own name, or to another link of it', async () => {
    await expects([
      ...inside,
      [`mknod:a:${NULL}`, 0],
      ['rename:a:a:0', 0],
      ['rename:a:./a:2', 0],
      ['rename:a:a:1', EEXIST],
      ['link:a:b', 0],
      ['rename:a:b:0', 0],
      ['rename:a:b:1', EEXIST],
      ['unlink:a', 0],
      ['unlink:b', 0],
    ])
  })

  it('leaves mounts that are not ours to the kernel', async () => {
    await expects([
      ...inside,
      [`mknod:n:${NULL}`, 0],
      ['create:own:0644', 0],
      ['bindmount:/dev/zero:own', 0],
      ['unlink:own', EBUSY],
      ['rename:n:own:0', EBUSY],
      ['rename:own:n:0', EBUSY],
      ['use:n:w', 1],
    ])
  })

  it('goes by the rights of who removes', async () => {
    await expects([
      ...inside,
      ['chmod:.:01777', 0],
      ['mkdir:closed:0755', 0],
      [`mknod:n:${NULL}`, 0],
      [`mknod:closed/n:${NULL}`, 0],
      ['ids:1000:1000', 0],
      ['unlink:closed/n', EACCES],
      ['unlink:n', EPERM],
      ['rename:n:m:0', EPERM],
      ['link:n:m', EPERM],
      ['use:n:w', 1],
    ])
  })

  it('removes them from a copy of the mount namespace', async () => {
    await expects([
      ...inside,
      [`mknod:n:${NULL}`, 0],
      [`unshare:${CLONE_NEWNS}`, 0],
      [`mknod:m:${NULL}`, 0],
      ['use:m:w', 1],
      ['unlink:n', 0],
      ['unlink:m', 0],
      ['stat:n', ENOENT],
    ])
  })
})
