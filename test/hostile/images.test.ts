// Images whose super block leads the kernel to a device that the container was not given.

import assert from 'node:assert/strict'
import {mkdirSync, readFileSync} from 'node:fs'
import {join} from 'node:path'

import {interceptorIn, succeed} from '../helpers/program.js'
import {skipUnlessPrivileged, skipUnlessPrograms} from '../helpers/skip.js'
import {temporaryDirectories} from '../helpers/temporary.js'

/** By mount(2), and by the new calls, which every machine has under the same numbers. */
const MOUNT = `
import ctypes, errno, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def answer(result): return 'ok' if result >= 0 else errno.errorcode[ctypes.get_errno()]
def text(word): return ctypes.c_char_p(word.encode()) if isinstance(word, str) else ctypes.c_long(word or 0)
def call(number, *words): return libc.syscall(ctypes.c_long(number), *[text(word) for word in words])
for type, image in (word.split(':') for word in sys.argv[1:]):
    old = answer(libc.mount(text(image), b'm', text(type), 0, None))
    libc.umount2(b'm', 2)
    context = call(430, type, 1)
    call(431, context, 1, 'source', image, 0)
    new = answer(call(431, context, 6, None, None, 0))
    os.close(context)
    print(image, old, new)
`

describe('a hostile image', function () {
  this.timeout(60_000)
  skipUnlessPrivileged()
  skipUnlessPrograms('mkfs.ext4', 'mke2fs', 'tune2fs', 'losetup', 'mkfs.btrfs', 'python3')
  const temporary = temporaryDirectories()
  let journal = ''

  after(() => {
    if (journal !== '') succeed({}, 'losetup', '-d', journal)
  })

  it('opens no device that the super block names, whatever the container was given of it', () => {
    const top = temporary()
    for (const name of ['m', 'images', 'host']) mkdirSync(join(top, name))
    // The host's journal is of its own device, which the container is not given.
    const make = `
      truncate -s 16M host/journal host/second
      journal=$(losetup --show -f host/journal); mke2fs -q -O journal_dev "$journal"
      truncate -s 16M images/external; mkfs.ext4 -q -J device="$journal" images/external; cp images/external images/external3
      echo "$journal" > host/device
      truncate -s 16M images/named && mkfs.ext4 -q images/named && tune2fs -E mount_opts=journal_path=/dev/loop0 images/named
      truncate -s 16M images/internal images/none && mkfs.ext4 -q images/internal && mkfs.ext4 -q -O ^has_journal images/none
      truncate -s 120M images/btrfs images/single host/second
      one=$(losetup --show -f images/btrfs); two=$(losetup --show -f host/second)
      mkfs.btrfs -q "$one" "$two"; losetup -d "$one" "$two"; mkfs.btrfs -q images/single`
    succeed({cwd: top}, 'sh', '-euc', make)
    journal = readFileSync(join(top, 'host/device'), 'utf8').trim()
    const before = readFileSync(join(top, 'host/journal'))
    const images = ['ext4:external', 'ext3:external3', 'ext4:named', 'btrfs:btrfs', 'ext4:internal', 'ext4:none']
    const words = [...images, 'btrfs:single'].map((word) => word.replace(':', ':images/'))
    const flags = ['--mount-allowed', 'ext4,ext3,btrfs', '--mount-source', 'images']
    const {stdout, stderr} = interceptorIn({cwd: top}, 'run', ...flags, '--', 'python3', '-c', MOUNT, ...words)
    assert.equal(
      stdout,
      ['external', 'external3', 'named', 'btrfs'].map((name) => `images/${name} EPERM EPERM\n`).join('') +
        ['internal', 'none', 'single'].map((name) => `images/${name} ok ok\n`).join(''),
      stderr,
    )
    assert.deepEqual(readFileSync(join(top, 'host/journal')), before)
    assert.match(stderr, /refused: its journal is on another device, which the super block names/u)
    assert.match(stderr, /refused: the super block has options of its own: the option journal_path names/u)
    assert.match(stderr, /FSCONFIG_CMD_CREATE.*refused: a part of it is on another device/u)
  })
})
