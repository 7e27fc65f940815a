// Bad input to mount and to loop devices, callers that change what they named, and callers that die in the call.

import assert from 'node:assert/strict'
import {mkdirSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {leavesNoLoopDevice} from '../helpers/loop-devices.js'
import {interceptorIn, program, succeed} from '../helpers/program.js'
import {skipUnlessPrivileged, skipUnlessPrograms} from '../helpers/skip.js'
import {temporaryDirectories} from '../helpers/temporary.js'

/** mount(2) and ioctl(2) by address, as hostile programs call them. */
const PRELUDE = `
import ctypes, errno, mmap, os, signal, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mount.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_void_p]
libc.umount2.argtypes = [ctypes.c_void_p, ctypes.c_int]
def address(value):
    if value is None or isinstance(value, int): return value
    kept.append(ctypes.create_string_buffer(value))
    return ctypes.addressof(kept[-1])
kept = []
def mount(source, target, type, flags=0, data=None):
    if libc.mount(address(source), address(target), address(type), flags, address(data)) == 0: return 'ok'
    return errno.errorcode[ctypes.get_errno()]
def expect(expected, *arguments):
    found = mount(*arguments)
    if found not in expected.split('|'): print('expected', expected, 'found', found, repr(arguments)[:200])
    if found == 'ok': libc.umount2(address(arguments[1]), 2)
def edge(text):
    'text at the very end of a page, behind which nothing is mapped'
    page = libc.mmap(None, 8192, 3, 0x22, -1, 0)
    libc.munmap(ctypes.c_void_p(page + 4096), 4096)
    at = page + 4096 - len(text)
    ctypes.memmove(at, text, len(text))
    return at
`

describe('a hostile container that mounts', function () {
  this.timeout(60_000)
  skipUnlessPrivileged()
  skipUnlessPrograms('mkfs.ext4', 'losetup', 'python3')
  const temporary = temporaryDirectories()
  let top = ''
  let allowed = ''
  let denied = ''

  before(() => {
    top = temporary()
    for (const name of ['m', 'images']) mkdirSync(join(top, name))
    const make = `
      truncate -s 8M images/one && mkfs.ext4 -q -L allowed images/one && mkdir h && mount -o loop images/one h && touch h/allowed && umount h && cp images/one one
      truncate -s 8M other && mkfs.ext4 -q -L denied other
      mount -o loop other h && touch h/denied && umount h
      mkfifo fifo; ln -s loop self-loop; ln -s self-loop loop; head -c 2000000 /dev/zero | tr '\\0' x > huge`
    succeed({cwd: top}, 'sh', '-euc', make)
    allowed = succeed({cwd: top}, 'losetup', '--show', '-f', 'one').trim()
    denied = succeed({cwd: top}, 'losetup', '--show', '-f', 'other').trim()
  })

  after(() => {
    for (const device of [allowed, denied]) if (device !== '') succeed({}, 'losetup', '-d', device)
  })

  const python = (flags: readonly string[], source: string) => {
    writeFileSync(join(top, 'attack.py'), PRELUDE + source)
    const words = ['run', '--mount-allowed', 'ext4,overlay,hugetlbfs', '--mount-source', allowed, ...flags]
    const ended = interceptorIn({cwd: top}, ...words, '--', 'python3', 'attack.py', allowed, denied)
    assert.equal(ended.status, 0, ended.stderr)
    assert.deepEqual(ended.stderr.match(/.*internal error.*|^ +at .*/gmu) ?? [], [])
    return ended
  }

  it('gets the errno of the kernel for every kind of bad argument', () => {
    const {stdout} = python(
      ['--mount-source', 'images'],
      `
device = sys.argv[1].encode()
good = (device, b'm', b'ext4')
expect('ok', *good)
for bad in (1, 4095, 2**47, 2**63, 2**64 - 1):
    expect('EFAULT', bad, b'm', b'ext4')
    expect('EFAULT', device, bad, b'ext4')
    expect('EFAULT', device, b'm', bad)
    expect('EFAULT', device, b'm', b'ext4', 0, bad)
expect('ok', edge(device + b'\\0'), edge(b'm\\0'), edge(b'ext4\\0'), 0, edge(b'nodelalloc\\0'))
expect('ok', device, b'm', b'ext4', 0, edge(b'nodelalloc'))
expect('EFAULT', edge(device), b'm', b'ext4')
expect('EFAULT', device, b'm', edge(b'ext4'))
expect('EINVAL', b'x' * 1048576, b'm', b'ext4')
expect('ENAMETOOLONG', device, b'x' * 1048576, b'ext4')
expect('EINVAL', device, b'm', b'x' * 1048576)
expect('EINVAL', device, b'm', b'ext4', 0, b'x' * 1048576)
expect('ENOENT', b'', b'm', b'ext4')
expect('EINVAL', None, b'm', b'ext4')
expect('ENOENT', device, b'', b'ext4')
expect('ENODEV|EINVAL', device, b'm', b'')
expect('EINVAL', device, b'm', None)
expect('ENOENT', device, b'missing', b'ext4')
expect('ENOENT', b'missing', b'm', b'ext4')
expect('ENOENT', b'missing', b'missing', b'ext4')
expect('ENOTDIR', device, b'one', b'ext4')
expect('ENOTDIR', device, b'one/x', b'ext4')
expect('ELOOP', device, b'loop', b'ext4')
expect('ELOOP', b'loop', b'm', b'ext4')
expect('ENOTBLK', b'm', b'm', b'ext4')
expect('ENOTBLK', b'fifo', b'm', b'ext4')
expect('ENOTBLK', b'/dev/null', b'm', b'ext4')
expect('EPERM|ENXIO', sys.argv[2].encode(), b'm', b'ext4') if os.path.exists(sys.argv[2]) else None
expect('ENODEV', device, b'm', b'nosuchtype')
for data in (b'nosuchoption', b'errors=maybe', b'noatime=', b'data=\\xff\\xfe', b'%s%n', b'usrquota=' + b'x' * 300, b'=,=,nosuch'):
    expect('EINVAL', device, b'm', b'ext4', 0, data)
for data in (b'errors=panic', b'sb=99999999999', b'journal_dev=0x801', b'journal_path=/dev/vda'):
    expect('EPERM', device, b'm', b'ext4', 0, data)
for data in (b'', b',,,', b'=', b'errors=continue'):
    expect('ok', device, b'm', b'ext4', 0, data)
expect('EINVAL', device, b'm', b'ext4', 1 << 31)
expect('EINVAL', b'o', b'm', b'overlay', 1 << 31, b'lowerdir=m:h')
for flags in (2**63, 1 << 40, 0xc0ed0000, 0x8000 | 1 << 21, 1 << 26, 1 << 23):
    expect('ok', device, b'm', b'ext4', flags)
expect('EINVAL|ENOENT', b'o', b'm', b'overlay')
expect('EINVAL|ENOENT', b'o', b'm', b'overlay', 0, b'lowerdir=')
expect('ENOENT', b'o', b'm', b'overlay', 0, b'lowerdir=missing:m')
expect('EINVAL', b'o', b'm', b'overlay', 0, b'lowerdir=' + b':'.join([b'm'] * 600))
expect('ENOTDIR|EINVAL', b'o', b'm', b'overlay', 0, b'lowerdir=one:m')
expect('EINVAL', b'o', b'm', b'overlay', 0, b'lowerdir=m,upperdir=')
expect('EINVAL', b'o', b'm', b'hugetlbfs', 0, b'uid=x')
if mount(*good) != 'ok': print('not mounted')
expect('EBUSY', *good)
libc.umount2(address(b'm'), 0)
`,
    )
    assert.equal(stdout, '')
  })

  it('cannot cut off the option that keeps a damaged image from stopping the host', () => {
    succeed({cwd: top}, 'sh', '-euc', 'truncate -s 8M images/panic && mkfs.ext4 -q -e panic images/panic')
    const {stdout, stderr} = python(
      ['--mount-source', 'images'],
      `
ours = b'errors=remount-ro,'
def shown():
    return [line.split()[3] for line in open('/proc/self/mounts') if line.split()[1].endswith('/m')]
for length in (0, 1, 100, 4000, 4095 - len(ours), 4096 - len(ours), 4094, 4095, 4096, 10000):
    for filling in (b',', b'noload,', b'"', b'nodelalloc,"'):
        data = (filling * 10000)[:length - length % len(filling)]
        found = mount(b'images/panic', b'm', b'ext4', 1, data)
        safe = ['errors=remount-ro' in options for options in shown()]
        if found == 'ok' and safe != [True]: print('not safe', length, filling, shown())
        if length < 4095 - len(ours) and b'"' not in data and found != 'ok': print(found, length, filling)
        if len(data) > 4095 - len(ours) and found != 'EINVAL': print(found, length, filling)
        libc.umount2(address(b'm'), 2)
for data in (b'errors=panic', b'errors=continue,errors=panic', b'errors', b'errors=', b'errors=PANIC', b'errors= panic', b'sb=1,errors=panic'):
    if mount(b'images/panic', b'm', b'ext4', 1, data) == 'ok': print('mounted with', data, shown())
`,
    )
    assert.equal(stdout, '')
    assert.match(stderr, /EINVAL {2}failed .*these are longer than 4095 bytes/u)
  })

  it('gets the errno of the kernel for bad loop requests, and nothing of the host', async () => {
    const {stdout} = python(
      ['--mount-source', 'images'],
      `
libc.ioctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p]
def ioctl(expected, fd, request, argument=None):
    result = libc.ioctl(fd, request, address(argument))
    found = str(result) if result >= 0 else errno.errorcode[ctypes.get_errno()]
    if found not in expected.split('|') and not ('number' in expected and result >= 0):
        print('expected', expected, 'found', found, hex(request), repr(argument)[:80])
    return result
control, image, other = os.open('/dev/loop-control', os.O_RDWR), os.open('images/one', os.O_RDWR), os.open('one', os.O_RDWR)
number = ioctl('number', control, 0x4c82)
loop = os.open(f'/dev/loop{number}', os.O_RDWR)
for request in (0x4c01, 0x4c04, 0x4c05, 0x4c07): ioctl('ENXIO|EFAULT', loop, request, bytes(400))
ioctl('EBADF', loop, 0x4c00, -1)
ioctl('EBADF', loop, 0x4c00, 9999)
ioctl('EINVAL', loop, 0x4c00, os.open('/dev/null', os.O_RDWR))
ioctl('EINVAL', loop, 0x4c00, os.open('m', os.O_RDONLY))
ioctl('EFAULT', loop, 0x4c0a, 1)
ioctl('EBADF', loop, 0x4c0a, b'\\xff' * 304)
ioctl('EINVAL', loop, 0x4c06, image)
ioctl('EINVAL', loop, 0x4cff)
for request in range(0x4c80, 0x4c86): ioctl('number|ENOTTY', control, request)
ioctl('0', loop, 0x4c00, image)
ioctl('EBUSY', loop, 0x4c00, image)
ioctl('0', loop, 0x4c05, bytes(232))
ioctl('EFAULT', loop, 0x4c05, 1)
ioctl('EINVAL', loop, 0x4c04, bytes(24) + b'\\xff' * 208)
ioctl('0|ENXIO', loop, 0x4c01)
ioctl('0', loop, 0x4c00, other)
expect('EPERM', f'/dev/loop{number}'.encode(), b'm', b'ext4')
def storm():
    end = time.time() + 2
    while time.time() < end:
        libc.ioctl(loop, 0x4c00, image); libc.ioctl(loop, 0x4c01, None); libc.ioctl(loop, 0x4c00, other); libc.ioctl(loop, 0x4c01, None)
threads = [threading.Thread(target=storm) for _ in range(3)]
for thread in threads: thread.start()
while any(thread.is_alive() for thread in threads):
    if mount(f'/dev/loop{number}'.encode(), b'm', b'ext4') == 'ok':
        if os.listdir('m').count('allowed') != 1: print('something else was mounted', os.listdir('m'))
        libc.umount2(address(b'm'), 2)
`,
    )
    assert.equal(stdout, '')
    await leavesNoLoopDevice(join(top, 'images'))
  })

  it('never gets another device mounted than the one that was checked, however it swaps names', () => {
    const {stdout, stderr} = python(
      ['--device', denied, '--mount-source', 'images'],
      `
os.symlink(sys.argv[1], 'link')
stop = False
def swap():
    other = ['one', sys.argv[1], 'images/one', '/dev/null']
    turn = 0
    while not stop:
        turn += 1
        os.symlink(other[turn % 4], 'next')
        os.rename('next', 'link')
thread = threading.Thread(target=swap); thread.start()
mounted = 0
for _ in range(150):
    if mount(b'link', b'm', b'ext4', 1) == 'ok':
        mounted += 1
        if os.listdir('m').count('allowed') != 1: print('something else was mounted', os.listdir('m'))
        libc.umount2(address(b'm'), 2)
stop = True
thread.join()
os.unlink('link')
print('mounted' if mounted > 0 else 'never mounted')
`.replace("'one', sys", "'other', sys"),
    )
    assert.equal(stdout, 'mounted\n', stderr.slice(0, 2000))
  })

  it('B11: mounts once and only once from a thread, under a storm of signals', () => {
    const {stdout} = python(
      [],
      `
signal.signal(signal.SIGURG, lambda *_: None)
pid = os.getpid()
done = False
def storm():
    while not done: os.kill(pid, signal.SIGURG); time.sleep(0.0005)
results = []
threading.Thread(target=storm, daemon=True).start()
for _ in range(8):
    worker = threading.Thread(target=lambda: results.append(mount(sys.argv[1].encode(), b'm', b'ext4')))
    worker.start(); worker.join()
    count = sum(line.split()[4] == os.path.realpath('m') for line in open('/proc/self/mountinfo'))
    if count != 1: print('mounted', count, 'times')
    libc.umount2(address(b'm'), 0)
done = True
print(set(results))
`,
    )
    assert.equal(stdout, "{'ok'}\n")
  })

  it('B19: leaves nothing behind when it dies in the call', async () => {
    python(
      ['--mount-source', 'images'],
      `
for delay in range(12):
    child = os.fork()
    if child == 0:
        mount(b'images/one', b'm', b'ext4'); os._exit(0)
    time.sleep(delay * 0.003); os.kill(child, signal.SIGKILL); os.waitpid(child, 0)
    time.sleep(0.05); libc.umount2(address(b'm'), 2)
`,
    )
    await leavesNoLoopDevice(join(top, 'images'))
    assert.doesNotMatch(program('cat', '/proc/self/mountinfo').stdout, new RegExp(top, 'u'))
  })

  it('is never told that a context is busy which it uses alone', () => {
    const {stdout} = python(
      [],
      `
libc.syscall.restype = ctypes.c_long
def worker():
    errors = set()
    for _ in range(400):
        context = libc.syscall(430, b'overlay', 1)
        for _ in range(3):
            if libc.syscall(431, context, 1, b'index', b'off', 0) != 0: errors.add(errno.errorcode[ctypes.get_errno()])
        os.close(context)
    print(''.join(errors), end='', flush=True)
children = []
for _ in range(4):
    child = os.fork()
    if child == 0: worker(); os._exit(0)
    children.append(child)
for child in children: os.waitpid(child, 0)
`,
    )
    assert.equal(stdout, '')
  })

  it('gets nothing in a user namespace of its own, or without the capability', () => {
    const script = `
      unshare -Urm mount -t ext4 ${allowed} m && echo mounted
      setpriv --bounding-set=-sys_admin --inh-caps=-all mount -t ext4 ${allowed} m && echo mounted
      true`
    const words = ['run', '--mount-allowed', 'ext4', '--mount-source', allowed]
    const {stdout, stderr} = interceptorIn({cwd: top}, ...words, '--', 'sh', '-c', script)
    assert.equal(stdout, '')
    assert.match(stderr, /continued: the caller is in a user namespace of its own/u)
    assert.match(stderr, /refused: the caller lacks CAP_SYS_ADMIN/u)
  })

  it('mounts what a source was when the run began, whatever its name is made to lead to', () => {
    const victim = temporary()
    mkdirSync(join(victim, 'images'))
    const make = `chmod 755 .; truncate -s 8M images/vm && mkfs.ext4 -q images/vm && chmod 600 images/vm
      mkdir work work/m work/images; cp images/vm work/images/vm; cp images/vm work/vm; chmod 666 work/vm`
    succeed({cwd: victim}, 'sh', '-euc', make)
    const before = succeed({cwd: victim}, 'sha256sum', 'images/vm')
    const cwd = join(victim, 'work')
    // Source, what the container does, what it mounts, and whether the link that it leaves is in the way of the next run.
    const swaps = [
      ['vm', 'rm vm; ln -s ../images/vm vm', 'vm', true],
      ['vm', 'mv vm own; ln -s ../images/vm vm', 'vm', true],
      ['images/vm', 'mv images own; ln -s ../images images', 'images/vm', true],
      ['images', 'mv images own; ln -s ../images images', 'images/vm', true],
      ['images', 'rm images/vm; ln -s ../../images/vm images/vm', 'images/vm', false],
    ] as const
    for (const [source, swap, image, isInTheWay] of swaps) {
      const flags = ['run', '--mount-allowed', 'ext4', '--mount-shift', '--mount-source', source]
      const call = `import ctypes; libc = ctypes.CDLL(None); print(libc.mount(b"${image}", b"m", b"ext4", 0, None))`
      const script = `${swap}; python3 -c '${call}'; echo changed 2>/dev/null >m/file`
      const {stdout, stderr} = interceptorIn({cwd}, ...flags, '--', 'sh', '-c', script)
      assert.equal(stdout, '-1\n', swap)
      assert.match(stderr, /refused: this image is not among the sources/u, swap)
      const again = interceptorIn({cwd}, ...flags, '--', 'true')
      assert.equal(again.status, isInTheWay ? 125 : 0, again.stderr)
      if (isInTheWay) assert.match(again.stderr, /is a symbolic link, and a container may have made it/u)
      succeed({cwd}, 'sh', '-euc', 'rm -rf vm images m/file; test -e own || cp -r ../images own; rm -rf own')
      succeed({cwd}, 'sh', '-euc', 'mkdir images; cp ../images/vm images/vm; cp ../images/vm vm; chmod 666 vm')
    }
    assert.equal(succeed({cwd: victim}, 'sha256sum', 'images/vm'), before)
  })

  it('writes to an image no more than the caller may', () => {
    const cwd = temporary()
    succeed({cwd}, 'sh', '-euc', 'mkdir work work/m; truncate -s 8M vm && mkfs.ext4 -q vm')
    const call = (flags: number) =>
      `import ctypes; libc = ctypes.CDLL(None, use_errno=True); print(libc.mount(b"/tmp/vm", b"m", b"ext4", ${flags}, None), ctypes.get_errno())`
    const flags = ['run', '--mount-allowed', 'ext4', '--mount-source', '../vm', '--bind', '../vm:/tmp/vm:ro']
    const script = `python3 -c '${call(0)}'; python3 -c '${call(1)}'`
    const {stdout, stderr} = interceptorIn({cwd: join(cwd, 'work')}, ...flags, '--', 'sh', '-c', script)
    assert.equal(stdout, '-1 30\n0 0\n', stderr)
  })
})
