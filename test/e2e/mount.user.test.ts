// Mounts of an ordinary user: FUSE programs do what the kernel does for root.

import assert from 'node:assert/strict'
import {accessSync, constants, mkdirSync} from 'node:fs'
import {join} from 'node:path'

import {interceptorIn, succeed} from '../helpers/program.js'
import {skipUnless, skipUnlessPrograms, skipUnlessRootless} from '../helpers/skip.js'
import {temporaryDirectories} from '../helpers/temporary.js'

describe('mount in a container of an ordinary user', function () {
  this.timeout(60_000)
  skipUnlessRootless()
  skipUnlessPrograms('mkfs.ext4', 'fuse2fs', 'busybox', 'mksquashfs', 'squashfuse')
  skipUnless(mayUseFuse(), '/dev/fuse is not open to this user')
  const temporary = temporaryDirectories()

  it('is redirected to FUSE programs, by mount and busybox mount too, and refused with advice where it is not', () => {
    const top = temporary()
    for (const name of ['source', 'm']) mkdirSync(join(top, name))
    const make = `
      echo content > source/file; truncate -s 8M ext4; mkfs.ext4 -q -d source -E root_owner=0:0 ext4
      mksquashfs source squashfs -quiet -noappend > /dev/null`
    succeed({cwd: top, env: {PATH: '/usr/sbin:/usr/bin:/sbin:/bin'}}, 'sh', '-euc', make)
    const script = `
      mount -t ext4 ext4 m; cat m/file; stat -c %u m; umount m
      busybox mount -t squashfs -o loop squashfs m; cat m/file; umount m
      ! mount -t xfs squashfs m`
    const flags = ['--mount-fuse', 'ext4=fuse2fs,squashfs=squashfuse', '--mount-allowed', 'xfs', '--mount-source', '.']
    const {status, stdout, stderr} = interceptorIn({cwd: top}, 'run', ...flags, '--', 'sh', '-euc', script)
    assert.equal(status, 0, stderr)
    assert.equal(stdout, 'content\n0\ncontent\n')
    assert.match(stderr, /refused: only root of the host can mount xfs; a FUSE program could serve it here/u)
  })
})

function mayUseFuse(): boolean {
  try {
    accessSync('/dev/fuse', constants.R_OK | constants.W_OK)
    return true
  } catch {
    return false
  }
}
