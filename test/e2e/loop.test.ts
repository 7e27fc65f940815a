// Loop devices of a container of root: when they go, and what they cannot do.

import assert from 'node:assert/strict'
import {once} from 'node:events'
import {mkdirSync} from 'node:fs'
import {join} from 'node:path'

import {leavesNoLoopDevice} from '../helpers/loop-devices.js'
import {interceptorIn, succeed} from '../helpers/program.js'
import {runningContainers} from '../helpers/running.js'
import {skipUnlessPrivileged, skipUnlessPrograms} from '../helpers/skip.js'
import {temporaryDirectories} from '../helpers/temporary.js'

const FLAGS = ['--mount-allowed', 'ext4', '--mount-shift', '--mount-source', 'images']

describe('a loop device in a container of root', function () {
  this.timeout(60_000)
  skipUnlessPrivileged()
  skipUnlessPrograms('mkfs.ext4', 'losetup')
  const temporary = temporaryDirectories()
  const start = runningContainers()
  let top = ''
  let images = ''

  before(() => {
    top = temporary()
    images = join(top, 'images')
    for (const name of ['images', 'm', 'n']) mkdirSync(join(top, name))
    const make = `
      truncate -s 8M images/ext4 && mkfs.ext4 -q images/ext4
      truncate -s 24M images/parts
      for at in 8 16; do dd if=images/ext4 of=images/parts bs=1M seek=$at conv=notrunc status=none; done
      head -c 8M /dev/zero > images/wrong`
    succeed({cwd: top}, 'sh', '-euc', make)
  })

  const good = (script: string): {readonly stdout: string; readonly stderr: string} => {
    const {status, ...written} = interceptorIn({cwd: top}, 'run', ...FLAGS, '--', 'sh', '-euc', script)
    assert.equal(status, 0, written.stderr)
    return written
  }

  it('goes with its mount: another part of the image can be mounted after and beside it', async () => {
    const part = (at: number, place: string) =>
      `mount -t ext4 -o loop,offset=${at << 20},sizelimit=${8 << 20} images/parts ${place}`
    good(
      `${part(8, 'm')}; umount m; ${part(16, 'm')}; umount m; mount -t ext4 -o loop,offset=${8 << 20} images/parts m`,
    )
    await leavesNoLoopDevice(images)
  })

  it('goes with a mount(8) that failed, however often', () => {
    good('for i in 1 2 3 4 5 6; do ! mount -t ext4 images/wrong m; done; mount -t ext4 images/ext4 m; umount m')
  })

  it('holds its image as long as it is set up by losetup, mounted or not, and shows nothing after', () => {
    const script = `
      device=$(losetup --show -f images/ext4); mount $device m; umount m; losetup $device; mount $device m; umount m
      blkid -p -o value -s TYPE $device; losetup -d $device; wc -c < $device`
    assert.match(good(script).stdout, /^ext4\n0\n$/mu)
  })

  it('has no partitions, and says so where losetup -P asks for some', () => {
    const {stderr} = good('! losetup -P -f images/ext4; losetup -f images/ext4')
    assert.match(
      stderr,
      /LOOP_CONFIGURE, .*\) = -1 EINVAL {2}refused: a loop device of the container has no partitions/u,
    )
  })

  it('is gone after its supervisor was killed', async () => {
    const {supervisor} = await start(top, FLAGS, 'losetup -f images/ext4; echo ready; exec sleep 300 3< /dev/loop0')
    supervisor.kill('SIGKILL')
    await once(supervisor, 'exit')
    await leavesNoLoopDevice(images)
  })
})
