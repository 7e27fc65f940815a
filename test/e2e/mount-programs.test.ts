// mount(8) of two generations of util-linux, with mount(2) and with the new mount calls, and busybox: all mount the same.

import assert from 'node:assert/strict'
import {mkdirSync} from 'node:fs'
import {join} from 'node:path'

import {unpackPackages} from '../helpers/debian-root.js'
import {mirrorAnswers} from '../helpers/debian.js'
import {interceptorIn, succeed} from '../helpers/program.js'
import type {Ended} from '../helpers/program.js'
import {skipTestUnless, skipUnlessPrivileged, skipUnlessPrograms} from '../helpers/skip.js'
import {temporaryDirectories} from '../helpers/temporary.js'

/** For a shell in the directory with the images, with M as the program to be tested. */
const SCRIPT = `
show() { grep " $PWD/place " /proc/mounts | sed 's/[^ ]* [^ ]* //'; }
$M -t ext4 -o noatime,noexec disk.img place && show
: > place/file && ls -ln place/file | tr -s ' ' | cut -d' ' -f1,3
umount place
$M -t ext4 -o ro disk.img place && show
umount place
$M -t tmpfs -o size=64k none place && show | cut -d' ' -f1
umount place
$M -o bind /usr place && test -e place/bin && echo bound
umount place
mkdir -p /tmp/l /tmp/u /tmp/w
$M -t overlay -o lowerdir=/tmp/l,upperdir=/tmp/u,workdir=/tmp/w over place && : > place/above && ls /tmp/u
umount place
$M -t ext4 -o nonsense=1 disk.img place 2>/dev/null || echo refused
$M -t btrfs disk.img place 2>/dev/null || echo refused
`
const EXPECTED = [
  'ext4 rw,nosuid,nodev,noexec,noatime,idmapped,errors=remount-ro 0 0',
  '-rw-r--r-- 0',
  'ext4 ro,nosuid,nodev,relatime,idmapped,errors=remount-ro 0 0',
  'tmpfs',
  'bound',
  'above',
  'refused',
  'refused',
]
/** What only mount(8) of util-linux does. */
const REMOUNT = `
$M -t ext4 disk.img place
$M -o remount,ro,noexec place && grep -c " $PWD/place ext4 ro,nosuid,nodev,noexec" /proc/mounts
$M -o remount,rw place && : > place/again && echo written
umount place
for number in 1 2 3; do $M -t ext4 -o noatime disk$number.img place$number & done; wait
grep -c "$PWD/place[123] ext4 rw,nosuid,nodev,noatime" /proc/mounts
umount place1 place2 place3
`

describe('in a container', function () {
  this.timeout(200_000)
  skipUnlessPrivileged()
  skipUnlessPrograms('mkfs.ext4', 'busybox', 'dpkg-deb', 'wget', 'xz')
  const temporary = temporaryDirectories()
  let top = ''

  before(() => {
    top = temporary()
    for (const name of ['', '1', '2', '3']) {
      mkdirSync(join(top, `place${name}`))
      succeed({cwd: top}, 'truncate', '-s', '4M', `disk${name}.img`)
      succeed({cwd: top}, 'mkfs.ext4', '-q', `disk${name}.img`)
    }
  })

  function run(script: string, ...flags: readonly string[]): Ended {
    const allowed = ['--mount-allowed', 'ext4,overlay', '--mount-shift', '--mount-source', top]
    const inside = `cd ${top}; ${script}`
    return interceptorIn({cwd: top, timeoutMs: 100_000}, 'run', ...allowed, ...flags, '--', 'sh', '-c', inside)
  }

  function lines({stdout}: Ended): readonly string[] {
    return stdout.trimEnd().split('\n')
  }

  it('mount of util-linux mounts what is allowed', () => {
    const ended = run(`M=mount; ${SCRIPT}${REMOUNT}`)
    assert.deepEqual(lines(ended), [...EXPECTED, '1', 'written', '3'], ended.stderr)
  })

  it('mount of busybox mounts what is allowed', () => {
    const ended = run(`M='busybox mount'; ${SCRIPT}`)
    assert.deepEqual(lines(ended), EXPECTED, ended.stderr)
  })

  describe('with programs of Debian testing', () => {
    let root = ''

    before(function () {
      skipTestUnless(this, mirrorAnswers(), 'no Debian mirror can be reached')
      const directory = temporary()
      root = join(directory, 'root')
      unpackPackages('testing', ['mount', 'busybox-static'], directory, root)
      for (const name of ['sh', 'grep', 'sed', 'ls', 'tr', 'cut', 'umount', 'mkdir'])
        succeed({cwd: root}, 'ln', '-sf', 'busybox', `usr/bin/${name}`)
    })

    it('mount of util-linux mounts the same by the new calls', () => {
      // Busybox's shell would take its own mount for the bare name.
      const ended = run(`M=/usr/bin/mount; ${SCRIPT}${REMOUNT}`, '--rootfs', root)
      assert.deepEqual(lines(ended), [...EXPECTED, '1', 'written', '3'], ended.stderr)
      assert.match(ended.stderr, /fsconfig\(3, FSCONFIG_CMD_CREATE, NULL, NULL, 0\) = 0 {2}emulated/u)
      assert.match(ended.stderr, /failed \(kernel, .*\): ext4: Unknown parameter 'nonsense'/u)
      assert.match(ended.stderr, /fsopen\("btrfs".*EPERM {2}refused: .*--mount-allowed btrfs/u)
    })

    it('mount of busybox mounts the same', () => {
      const ended = run(`M='busybox mount'; ${SCRIPT}`, '--rootfs', root)
      assert.deepEqual(lines(ended), EXPECTED, ended.stderr)
    })

    it('mount of util-linux falls back to mount(2) where a FUSE program serves', function () {
      skipTestUnless(this, succeed({}, 'sh', '-c', 'command -v fuse2fs || :') !== '', 'fuse2fs not installed')
      const library = join(root, 'usr', 'lib')
      const loader = `$(ls ${library}64/ld-linux-*.so.* ${library}/ld-linux-*.so.* 2>/dev/null | head -n 1)`
      const newer = `${loader} --library-path $(echo ${library}/*-linux-gnu) ${root}/usr/bin/mount`
      const script = `cd ${top}; ${newer} -t ext4 disk1.img place && ls place; umount place`
      const flags = ['--mount-fuse', 'ext4=fuse2fs', '--mount-source', top, '--bind', root]
      const ended = interceptorIn({cwd: top}, 'run', ...flags, '--', 'sh', '-c', script)
      assert.equal(ended.stdout, 'lost+found\n', ended.stderr)
      assert.match(ended.stderr, /fsopen\("ext4", FSOPEN_CLOEXEC\) = -1 ENOSYS {2}failed/u)
      assert.match(ended.stderr, /mount\(.*"ext4".*\) = 0 {2}emulated \(fuse/u)
    })
  })
})
