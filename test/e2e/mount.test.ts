// Real file systems in real containers, mounted by the programs that people use.

import assert from 'node:assert/strict'
import {chmodSync, mkdirSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {leavesNoLoopDevice} from '../helpers/loop-devices.js'
import {interceptorIn, program, succeed} from '../helpers/program.js'
import type {Ended} from '../helpers/program.js'
import {skipUnlessPrivileged, skipUnlessPrograms} from '../helpers/skip.js'
import {temporaryDirectories} from '../helpers/temporary.js'

describe('mount in a container of root', function () {
  this.timeout(60_000)
  skipUnlessPrivileged()
  skipUnlessPrograms('mkfs.ext4', 'losetup', 'busybox', 'python3')
  const temporary = temporaryDirectories()
  let top = ''
  let images = ''
  let loop = ''

  before(() => {
    top = temporary()
    images = join(top, 'images')
    mkdirSync(join(top, 'source/sub'), {recursive: true})
    mkdirSync(images)
    mkdirSync(join(top, 'm'))
    writeFileSync(join(top, 'source/sub/file'), 'content\n')
    const make = `
      truncate -s 16M images/ext4 && mkfs.ext4 -q -d source images/ext4
      cp images/ext4 images/other
      cp images/ext4 disk`
    succeed({cwd: top}, 'sh', '-euc', make)
    loop = succeed({cwd: top}, 'losetup', '--show', '-f', 'disk').trim()
  })

  after(() => {
    if (loop !== '') succeed({}, 'losetup', '-d', loop)
  })

  const run = (flags: readonly string[], script: string): Ended =>
    interceptorIn({cwd: top}, 'run', ...flags, '--', 'sh', '-euc', script)
  const good = (flags: readonly string[], script: string): string => {
    const {status, stdout, stderr} = run(flags, script)
    assert.equal(status, 0, stderr)
    return stdout
  }
  const lineOf = (mounts: string, at = '/m'): readonly string[] =>
    mounts
      .split('\n')
      .find((line) => line.split(' ')[1] === `${top}${at}`)
      ?.split(' ') ?? []

  it('M3, B9: mounts a block device with each of its options, and shows the ids of the host as 65534', () => {
    const options = 'noatime,nosymfollow,sync,ro,errors=remount-ro'
    const script = `
      mount -t ext4 -o ${options} ${loop} m
      stat -c %u:%g m; cat m/sub/file; cat /proc/mounts; umount m; ls m`
    const lines = good(['--mount-allowed', 'ext4', '--mount-source', loop], script).split('\n')
    assert.deepEqual(lines.slice(0, 2), ['65534:65534', 'content'])
    const [source, , type, shown = ''] = lineOf(lines.join('\n'))
    assert.deepEqual([source, type], [loop, 'ext4'])
    const expected = ['ro', 'sync', 'noatime', 'nosymfollow', 'nosuid', 'nodev', 'errors=remount-ro']
    assert.deepEqual(
      expected.filter((word) => !shown.split(',').includes(word)),
      [],
      shown,
    )
  })

  it('M4, B9: shows ids shifted, with options kept', () => {
    const script = `mount -t ext4 -o nodelalloc,noexec ${loop} m; stat -c %u:%g m; cat /proc/mounts; touch m/n; stat -c %u m/n; umount m`
    const output = good(['--mount-allowed', 'ext4', '--mount-shift', '--mount-source', loop], script)
    assert.match(output, /^0:0\n/u)
    assert.match(output, /\n0\n$/u)
    assert.match(lineOf(output)[3] ?? '', /noexec.*nodelalloc/u)
  })

  it('gives the container devices that its root can open, format and mount', () => {
    const image = join(top, 'whole')
    writeFileSync(image, Buffer.alloc(16 << 20))
    const whole = succeed({cwd: top}, 'losetup', '--show', '-f', image).trim()
    try {
      const script = `stat -c '%u:%g %a %F' ${whole} /dev/loop-control
        mkfs.ext4 -qF ${whole}; mount ${whole} m; echo written > m/file; umount m`
      const flags = [
        '--device',
        `${whole}:0640`,
        '--device',
        '/dev/loop-control:3:4:0606',
        '--mount-allowed',
        'ext4',
        '--mount-shift',
      ]
      const output = good(flags, script)
      assert.equal(output, '0:0 640 block special file\n3:4 606 character special file\n')
      succeed({cwd: top}, 'e2fsck', '-fn', image)
      succeed({cwd: top}, 'debugfs', '-R', 'stat /file', image)
    } finally {
      succeed({}, 'losetup', '-d', whole)
    }
  })

  it('M4: lets busybox mount too, which passes MS_SILENT', () => {
    good(
      ['--mount-allowed', 'ext4', '--mount-shift', '--mount-source', loop],
      `busybox mount -t ext4 ${loop} m; cat m/sub/file`,
    )
  })

  it('M7: refuses a type and a source that nobody named, and says which flag would allow them', () => {
    const {status, stderr} = run(['--mount-allowed', 'xfs', '--mount-source', loop], `mount -t ext4 ${loop} m`)
    assert.notEqual(status, 0)
    assert.match(
      stderr,
      /"ext4", 0, NULL\) = -1 EPERM {2}refused: ext4 is not allowlisted; --mount-allowed ext4 would/u,
    )
    const other = run(
      ['--mount-allowed', 'ext4', '--mount-source', 'images/other'],
      `! busybox mount -t ext4 images/ext4 m; python3 -c '
import ctypes,os
libc = ctypes.CDLL(None, use_errno=True)
exit(libc.mount(b"images/ext4", b"m", b"ext4", 0, None) == 0)'; exit 3`,
    )
    assert.equal(other.status, 3, other.stderr)
    assert.match(other.stderr, /EPERM {2}refused: this image is not among the sources/u)
  })

  it('looks for the mount point before it asks for permission, as the kernel does', () => {
    const {stderr} = run(['--mount'], `busybox mount -t ext4 ${loop} nowhere`)
    assert.match(stderr, /"nowhere", "ext4", .*\) = -1 ENOENT {2}failed/u)
  })

  it('remounts what was mounted, and nothing else', () => {
    const script = `
      mount -t ext4 ${loop} m
      mount -o remount,ro m; grep ' ${top}/m ' /proc/mounts; ! touch m/n 2>/dev/null
      mount -o remount,rw,noexec m; grep ' ${top}/m ' /proc/mounts; touch m/n
      ! mount -o remount,dev,suid,bind m
      mount -t tmpfs none source; busybox mount -o remount,ro none source; grep -c "source tmpfs ro" /proc/mounts`
    const output = good(['--mount-allowed', 'ext4', '--mount-shift', '--mount-source', loop], script)
    const [readOnly, writable, count] = output.split('\n')
    assert.match(readOnly ?? '', / ext4 ro,/u)
    assert.match(writable ?? '', / ext4 rw,nosuid,nodev,noexec/u)
    assert.equal(count, '1')
  })

  it('keeps devices and setuid files of an image without effect', () => {
    const make = `
      mount ${loop} m; mknod m/null c 1 3; cp /bin/busybox m/id; chown 0:0 m/id; chmod 4755 m/id; umount m`
    succeed({cwd: top}, 'sh', '-euc', make)
    const script = `
      mount -t ext4 ${loop} m; mount -o remount,dev m; ! mount -o remount,bind,dev,suid m
      ! (echo > m/null) 2>/dev/null; grep -o 'nosuid,nodev' /proc/mounts | head -1; umount m`
    assert.match(good(['--mount-allowed', 'ext4', '--mount-shift', '--mount-source', loop], script), /nosuid,nodev/u)
  })

  for (const [name, mount] of [
    ['mount', 'mount -o loop -t ext4'],
    ['mount, which finds the type out,', 'mount'],
    ['busybox mount', 'busybox mount -o loop -t ext4'],
  ] as const) {
    it(`mounts an image with ${name}, and leaves no loop device behind`, async () => {
      const script = `${mount} images/ext4 m; cat m/sub/file; stat -c %u m; umount m
        ${mount} images/ext4 m; ${mount} images/other source/sub; umount source/sub m`
      const output = good(['--mount-allowed', 'ext4', '--mount-shift', '--mount-source', 'images'], script)
      assert.equal(output, 'content\n0\n')
      await leavesNoLoopDevice(images)
    })
  }

  it("sets up loop devices over named images alone, and those are the container's", () => {
    const script = `
      device=$(losetup --show -f images/ext4); echo $device; losetup -d $device
      cp images/ext4 mine; losetup -f mine; ! mount -t ext4 $device m; losetup -d $device
      ! losetup -d ${loop} 2>/dev/null`
    const {status, stdout, stderr} = run(['--mount-allowed', 'ext4', '--mount-source', 'images'], script)
    assert.equal(status, 0, stderr)
    assert.match(stdout, /^\/dev\/loop\d+\n$/u)
    assert.match(stderr, /refused: the image of this loop device is not among the sources/u)
    assert.match(program('losetup', loop).stdout, /disk/u)
  })

  it('mounts one image in one place at a time', () => {
    const script = `mount -t ext4 images/ext4 m; ! mount -t ext4 images/ext4 source/sub`
    const {status, stderr} = run(['--mount-allowed', 'ext4', '--mount-source', 'images'], script)
    assert.equal(status, 0, stderr)
    assert.match(stderr, /EBUSY {2}failed/u)
  })

  it('M5: mounts ext4 with fuse2fs, in the container and with its ids; umount ends it', () => {
    const script = `
      mount -t ext4 -o ro images/ext4 m; stat -c %u:%g m; cat m/sub/file; cat /proc/mounts
      grep -h 'NSpid\\|^Uid\\|Seccomp:' /proc/$(pidof fuse2fs)/status; cat /proc/self/cgroup /proc/$(pidof fuse2fs)/cgroup | sort -u | wc -l
      cat /proc/self/cgroup | wc -l
      umount m; ${waitFor('! pidof fuse2fs >/dev/null')}`
    if (!isThere('fuse2fs')) return
    const output = good(['--mount-fuse', 'ext4=fuse2fs', '--mount-source', 'images'], script)
    assert.match(output, /^0:0\ncontent\n/u)
    assert.match(lineOf(output)[2] ?? '', /^fuse/u)
    assert.match(lineOf(output)[3] ?? '', /^ro,/u)
    assert.match(output, /Seccomp:\t2/u)
    assert.match(output, /Uid:\t0\t0\t0\t0/u)
    const [both, own] = output.trim().split('\n').slice(-2)
    assert.equal(both, own)
  })

  it('tells in the words of a FUSE program why it failed, and does not wait for one in the foreground', () => {
    writeFileSync(join(top, 'wrong'), '#!/bin/sh\necho "the moon is $3 wrong" >&2\nexit 7\n')
    writeFileSync(join(top, 'front'), '#!/bin/sh\nexec fuse2fs "$@" -f\n')
    for (const name of ['wrong', 'front']) chmodSync(join(top, name), 0o755)
    const flags = ['--mount-fuse', `xfs=${top}/wrong,ext4=${top}/front,btrfs=no-such-program`, '--mount-source', loop]
    const {status, stdout, stderr} = run(
      flags,
      `! mount -t xfs -o abc ${loop} m; ! mount -t btrfs ${loop} m; mount -t ext4 ${loop} m; cat m/sub/file; umount m`,
    )
    assert.equal(status, 0, stderr)
    assert.match(stderr, /= -1 EIO {2}failed \(fuse, .*wrong failed with status 7: the moon is -o wrong/u)
    assert.match(stderr, /= -1 ENODEV {2}failed \(fuse, .*cannot start no-such-program in the container/u)
    assert.equal(stdout, 'content\n')
  })

  it('B18: performs two slow mounts side by side, and other calls meanwhile', () => {
    // Each waits for a file that is made when both have begun and another call has been answered.
    writeFileSync(join(top, 'slow'), `#!/bin/sh\n: > ${top}/begun.$$\n${waitFor(`test -e ${top}/end`)}\nexit 1\n`)
    chmodSync(join(top, 'slow'), 0o755)
    const script = `
      mount -t xfs ${loop} m & mount -t xfs ${loop} source &
      ${waitFor(`test "$(ls ${top} | grep -c begun)" = 2`)}
      busybox free > /dev/null && echo answered; : > ${top}/end; wait`
    const flags = ['--sysinfo', '--mount-fuse', `xfs=${top}/slow`, '--mount-source', loop]
    assert.equal(good(flags, script), 'answered\n')
  })

  it('lets overlays honour the marks of images: whiteouts and opaque directories, made inside', () => {
    const script = `
      mkdir -p l1/d l1/e l2/d u w o; echo 1 > l1/gone; echo 1 > l1/d/hidden; echo 1 > l1/e/seen; echo 2 > l2/d/shown
      mknod l2/gone c 0 0; setfattr -n trusted.overlay.opaque -v y l2/d
      mount -t overlay over -o lowerdir=l2:l1,upperdir=u,workdir=w o
      (cd o; find . | sort); grep -o '^over .* overlay' /proc/mounts
      rm -r o/e; mkdir o/e; echo 3 > o/new; chown 5:6 o/new; umount o
      getfattr -n trusted.overlay.opaque --only-values u/e; stat -c ' %t,%T %u' u/new; ls -A u/e | wc -l
      mount -t overlay native -o userxattr,lowerdir=l2:l1 o; ls o; umount o`
    const {status, stdout, stderr} = run(['--mount-allowed', 'overlay', '--setxattr'], script)
    assert.equal(status, 0, stderr)
    const lines = stdout.split('\n')
    assert.deepEqual(lines.slice(0, 5), ['.', './d', './d/shown', './e', './e/seen'])
    assert.equal(lines[5], `over ${top}/o overlay`)
    assert.match(stdout, /y 0,0 5\n0\n/u)
    assert.match(stderr, /"native".*continued: the kernel decides about overlay by itself/u)
  })

  it('merges a container image that tar unpacked with its attributes', () => {
    const make = `
      mkdir -p layer/a layer2/a; echo low > layer/a/low; echo high > layer2/a/high
      setfattr -n trusted.overlay.opaque -v y layer2/a; mknod layer2/away c 0 0; echo x > layer/away
      tar --xattrs --xattrs-include='*' -cf layer.tar -C layer . ; tar --xattrs --xattrs-include='*' -cf layer2.tar -C layer2 .`
    succeed({cwd: top}, 'sh', '-euc', make)
    const script = `
      mkdir t1 t2 merged; tar --xattrs --xattrs-include='*' -xpf layer.tar -C t1; tar --xattrs --xattrs-include='*' -xpf layer2.tar -C t2
      mount -t overlay x -o lowerdir=t2:t1 merged; find merged | sort`
    assert.equal(good(['--mount-allowed', 'overlay', '--setxattr'], script), 'merged\nmerged/a\nmerged/a/high\n')
  })

  it('mounts an overlay of many layers, whose names are longer than one option can be', () => {
    const names = Array.from({length: 30}, (_, index) => `layer-with-a-rather-long-name-${index}`)
    const script = `mkdir -p many; cd many; for n in ${names.join(' ')}; do mkdir -p $n; touch $n/$n; done
      mount -t overlay x -o lowerdir=${names.join(':')} ../m; ls ../m | wc -l`
    assert.equal(good(['--mount-allowed', 'overlay'], script), '30\n')
  })

  it('gives an overlay no way to what the caller may not read', () => {
    const secret = temporary()
    mkdirSync(join(secret, 'inner'))
    writeFileSync(join(secret, 'inner/file'), 'secret\n')
    chmodSync(secret, 0o700)
    const script = `! mount -t overlay x -o lowerdir=${secret}/inner:source m; ! cat m/file`
    const {status, stdout, stderr} = run(['--mount-allowed', 'overlay'], script)
    assert.equal(status, 0, stderr)
    assert.doesNotMatch(stdout, /secret/u)
    assert.match(stderr, /EACCES {2}failed/u)
  })

  it("leaves a writable overlay over directories of the host to the kernel, and says so where it can't", () => {
    const script = `
      mkdir hu hw; mount -t overlay x -o lowerdir=/etc,upperdir=hu,workdir=hw m
      : > m/made; ls hu; head -c 1 /etc/shadow m/shadow 2>/dev/null || echo closed; umount m
      python3 -c '
import ctypes
call = ctypes.CDLL(None).syscall
context = call(430, b"overlay", 0)
for option in (b"lowerdir", b"/etc"), (b"upperdir", b"hu"), (b"workdir", b"hw"): call(431, context, 1, *option, 0)
print(call(431, context, 6, None, None, 0))'`
    const {status, stdout, stderr} = run(['--mount-allowed', 'overlay'], script)
    assert.equal(status, 0, stderr)
    assert.equal(stdout, 'made\nclosed\n-1\n')
    assert.match(
      stderr,
      /mount\("x".*continued: the kernel decides by itself about an overlay over directories of the host/u,
    )
    assert.match(stderr, /FSCONFIG_CMD_CREATE.*EACCES {2}failed .*is for the kernel to make, by mount\(2\)/u)
  })

  it("lends an overlay no rights over what is the host's, whatever the marks of an upper layer say", () => {
    const place = temporary()
    chmodSync(place, 0o755)
    mkdirSync(join(place, 'closed'))
    writeFileSync(join(place, 'closed/file'), 'secret\n', {mode: 0o644})
    writeFileSync(join(place, 'private'), 'secret\n', {mode: 0o600})
    chmodSync(join(place, 'closed'), 0o700)
    const script = `
      mkdir -p up/closed work; truncate -s 7 up/redirected
      setfattr -n trusted.overlay.redirect -v /private up/redirected; setfattr -n trusted.overlay.metacopy up/redirected
      for layers in lowerdir=${place},upperdir=up,workdir=work lowerdir=up:${place}; do
        mount -t overlay x -o $layers,metacopy=on,redirect_dir=on m || continue
        (ls m/closed; cat m/closed/file m/redirected m/private) || umount m
      done; true`
    const allowed = ['trusted.overlay.redirect', 'trusted.overlay.metacopy']
    const flags = ['--mount-allowed', 'overlay', ...allowed.flatMap((name) => ['--setxattr-allow', name])]
    const {status, stdout, stderr} = run(flags, script)
    assert.equal(status, 0, stderr)
    assert.equal(stdout, '', stderr)
    assert.match(stderr, /"lowerdir=up:[^"]*"\) = 0 /u)
  })

  it('M9: gives a hugetlbfs the ids of the container', function () {
    if (!program('cat', '/proc/filesystems').stdout.includes('hugetlbfs')) this.skip()
    const script = `
      for o in size=4M uid=0,gid=0 uid=1,gid=2 gid=3 uid=0x10,gid=010; do mount -t hugetlbfs -o $o none m; stat -c %u:%g m; umount m; done
      for o in uid=4294967294 gid=0xfffffffe uid=-1 uid=08 uid=0,gid=99999999; do ! mount -t hugetlbfs -o $o none m 2>/dev/null || stat -c %u:%g m; done`
    assert.equal(good(['--mount-allowed', 'hugetlbfs'], script), '0:0\n0:0\n1:2\n0:3\n16:8\n')
  })

  /** A line of shell; gives up after half a minute. */
  function waitFor(condition: string): string {
    return `n=0; until ${condition} || [ $n = 300 ]; do n=$((n+1)); sleep 0.1; done; ${condition}`
  }

  function isThere(name: string): boolean {
    return program('sh', '-c', `command -v ${name}`).status === 0
  }
})

describe('other file systems in a container of root', function () {
  this.timeout(60_000)
  skipUnlessPrivileged()
  skipUnlessPrograms('mkfs.xfs', 'mkfs.btrfs', 'mksquashfs', 'squashfuse')
  const temporary = temporaryDirectories()

  it('are mounted by the kernel, xfs, btrfs and squashfs, and by squashfuse', () => {
    const top = temporary()
    const make = `
      mkdir -p source/sub m; echo content > source/sub/file
      truncate -s 320M xfs && mkfs.xfs -q xfs
      truncate -s 120M btrfs && mkfs.btrfs -q btrfs
      mount -o loop btrfs m && btrfs subvolume create m/volume >/dev/null && echo content > m/volume/file && umount m
      mksquashfs source squashfs -quiet -noappend >/dev/null`
    succeed({cwd: top}, 'sh', '-euc', make)
    const sources = ['xfs', 'btrfs', 'squashfs'].flatMap((name) => ['--mount-source', name])
    const script = `
      for type in xfs btrfs squashfs; do mount -t $type $type m; stat -c %u:%g m; umount m; done
      mount -t btrfs -o subvol=volume,compress=zstd btrfs m; cat m/file; grep -o 'compress=zstd:3.*subvol=/volume' /proc/mounts; umount m
      ! mount -t xfs btrfs m; ! mount -t btrfs -o no-such-option btrfs m`
    const flags = ['--mount-shift', '--mount-allowed', 'xfs,btrfs,squashfs', ...sources]
    const kernel = interceptorIn({cwd: top}, 'run', ...flags, '--', 'sh', '-euc', script)
    assert.equal(kernel.status, 0, kernel.stderr)
    assert.match(kernel.stdout, /^0:0\n0:0\n0:0\ncontent\ncompress=zstd:3.*subvol=\/volume\n$/u)
    assert.match(kernel.stderr, /"xfs", 0, NULL\) = -1 EINVAL {2}failed/u)
    assert.match(kernel.stderr, /"no-such-option"\) = -1 EINVAL {2}failed/u)

    const fuse = ['--mount-fuse', 'squashfs=squashfuse', ...sources]
    const ended = interceptorIn(
      {cwd: top},
      'run',
      ...fuse,
      '--',
      'sh',
      '-euc',
      'mount -t squashfs squashfs m; cat m/sub/file',
    )
    assert.equal(ended.status, 0, ended.stderr)
    assert.equal(ended.stdout, 'content\n')
  })
})
