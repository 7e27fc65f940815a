// Defects of LXD and Incus, seen from the outside: the same small programs, and what they must show here.

import assert from 'node:assert/strict'
import {chmodSync} from 'node:fs'

import {interceptorIn} from '../../helpers/program.js'
import {skipUnlessPrivileged, skipUnlessPrograms} from '../../helpers/skip.js'
import {temporaryDirectories} from '../../helpers/temporary.js'

describe('what LXD and Incus get wrong', () => {
  skipUnlessPrivileged()
  skipUnlessPrograms('python3')
  const directory = temporaryDirectories()
  let cwd = ''
  beforeEach(() => {
    cwd = directory()
  })

  /** What the script prints; it must end well. */
  function prints(flags: readonly string[], script: string): string {
    const {status, stdout, stderr} = interceptorIn({cwd}, 'run', ...flags, '--', 'sh', '-ec', script)
    assert.equal(status, 0, stderr)
    return stdout
  }

  const python = (body: string): string => `python3 -c '\n${body}\n'`

  it('B1, B3: makes nodes at relative paths with a directory, and through a descriptor', () => {
    const script = `mkdir sub; mknod sub/x c 1 3; ${python(
      'import os\nos.mknod("y", 0o20666, os.makedev(1, 5), dir_fd=os.open("sub", os.O_RDONLY))',
    )}; tar -cf t.tar sub; rm -r sub; tar -xf t.tar; stat -c %F,%t:%T sub/x sub/y`
    assert.equal(prints(['--mknod'], script), 'character special file,1:3\ncharacter special file,1:5\n')
  })

  it('B2: leaves whiteouts to the kernel, from any thread and for any user', () => {
    chmodSync(cwd, 0o777)
    const body = [
      'import os, threading',
      'failed = []',
      'def make():',
      '  try: os.mknod("whiteout", 0o20000, 0)',
      '  except OSError as error: failed.append(error)',
      'thread = threading.Thread(target=make)',
      'thread.start()',
      'thread.join()',
      'print(failed, os.stat("whiteout").st_rdev)',
    ].join('\n')
    assert.equal(prints(['--mknod', '--user', '1000:1000'], python(body)), '[] 0\n')
  })

  it('M2, B4: makes nodes in /dev that open and read', () => {
    assert.equal(
      prints(['--mknod'], 'mknod /dev/made c 1 5; head -c 2 /dev/made | od -An -tx1; rm /dev/made'),
      ' 00 00\n',
    )
  })

  it('B5: answers with the errors of the kernel, and goes by where a path leads', () => {
    const body = [
      'import os, errno',
      'open("file", "w").write("kept")',
      'def make(path):',
      '  try: os.mknod(path, 0o20666, os.makedev(1, 3)); return 0',
      '  except OSError as error: return errno.errorcode[error.errno]',
      'print(make("file"), open("file").read(), make("no/x"), make("file/x"), make("/dev/../etc/x"), make("/development"))',
    ].join('\n')
    assert.equal(prints(['--mknod'], python(body)), 'EEXIST kept ENOENT ENOTDIR EROFS EROFS\n')
  })

  it('B6: keeps to the umask of the caller', () => {
    const body = [
      'import os',
      'os.mkdir("d")',
      'os.umask(0o077)',
      'os.mknod("d/x", 0o20666, os.makedev(1, 3))',
      'print(oct(os.stat("d/x").st_mode))',
    ].join('\n')
    assert.equal(prints(['--mknod'], python(body)), '0o20600\n')
  })

  it('B8, B10: fails to mount with the true error, and opens no type that is not allowlisted', () => {
    const body = [
      'import ctypes, errno, os',
      'libc = ctypes.CDLL(None, use_errno=True)',
      'os.mkdir("m")',
      'def mount(source, kind, data=None):',
      '  return errno.errorcode[ctypes.get_errno()] if libc.mount(source, b"m", kind, 0, data) else 0',
      'print(mount(b"nothing", b"ext4"), mount(b"none", b"tmpfs", b"size=nonsense"), mount(b"none", b"xfs"))',
    ].join('\n')
    const flags = ['--mount-allowed', 'ext4,tmpfs', '--mount-shift', '--mount-source', '.']
    assert.equal(prints(flags, python(body)), 'ENOENT EINVAL EPERM\n')
  })

  it('B12: keeps openat2 working while mounts are intercepted', () => {
    const body = [
      'import ctypes, os, struct',
      'libc = ctypes.CDLL(None, use_errno=True)',
      'fd = libc.syscall(437, -100, b"/etc/hostname", struct.pack("QQQ", 0, 0, 0), 24)',
      'tree = libc.syscall(428, -100, b".", 1)',
      'print(fd >= 0, tree >= 0)',
    ].join('\n')
    assert.equal(prints(['--mount-allowed', 'ext4'], python(body)), 'True True\n')
  })

  it('M6, B15: never tells more free memory than there is, however much is cached', () => {
    const body = [
      'import ctypes, struct',
      'memory = ctypes.create_string_buffer(112)',
      'ctypes.CDLL(None).sysinfo(memory)',
      'total, free, shared, buffered = struct.unpack("4Q", memory.raw[32:64])',
      'print(total, free <= total, buffered <= total)',
    ].join('\n')
    const script = `dd if=/dev/zero of=big bs=1M count=300 2>/dev/null; cat big >/dev/null; ${python(body)}`
    assert.equal(prints(['--memory', '123M', '--sysinfo'], script), '128974848 True True\n')
  })
})
