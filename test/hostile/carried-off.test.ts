// Descriptors that a container gets through interceptor, and passes to an ordinary user of the host who tries them after
// the end: nobody is held back there by a filter, a device rule or a namespace.

import assert from 'node:assert/strict'
import {spawn, spawnSync} from 'node:child_process'
import {once} from 'node:events'
import {chmodSync, closeSync, openSync} from 'node:fs'
import {join} from 'node:path'
import {text} from 'node:stream/consumers'

import {unifiedMountPoint} from '../../src/container/cgroup/tree.js'
import {leavesNoLoopDevice} from '../helpers/loop-devices.js'
import {INTERCEPTOR, interceptorIn, succeed} from '../helpers/program.js'
import {runningContainers} from '../helpers/running.js'
import {skipUnless, skipUnlessPrivileged, skipUnlessPrograms} from '../helpers/skip.js'
import {temporaryDirectories} from '../helpers/temporary.js'

const CGROUPS = unifiedMountPoint()?.toString()
/** Nobody's, and no id of a container. */
const ACCOMPLICE = 4242

const PRELUDE = `
import ctypes, errno, json, os, socket, stat, struct, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
BPF = 280 if os.uname().machine == 'aarch64' else 321
OPEN_TREE, MOVE_MOUNT, FSOPEN, FSCONFIG, FSMOUNT, FSPICK = 428, 429, 430, 431, 432, 433
PIDFD_SEND_SIGNAL, PIDFD_OPEN, PIDFD_GETFD = 424, 434, 438
def call(number, *arguments):
    result = libc.syscall(number, *arguments)
    if result < 0: raise OSError(ctypes.get_errno(), str(number))
    return result
def bpf(command, form, *values):
    return call(BPF, command, ctypes.create_string_buffer(struct.pack(form, *values), 128), 128)
def named(action):
    try: action()
    except OSError as error: return errno.errorcode[error.errno]
    return 'done'
`

/** Holds what it is sent, and tries it when it is told that the container has ended. */
const HOLDER = `${PRELUDE}
server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
server.bind('socket'); os.chmod('socket', 0o777); server.listen()
os.setgroups([]); os.setresgid(*[${ACCOMPLICE}] * 3); os.setresuid(*[${ACCOMPLICE}] * 3)
print('listening', flush=True)
connection, _ = server.accept()
held = {}
while True:
    name, descriptors, _, _ = socket.recv_fds(connection, 64, 1)
    if not name: break
    held[name.decode()] = descriptors[0]
sys.stdin.readline()

def reopen(flags): os.close(os.open(f'/proc/self/fd/{fd}', flags))
def program_of():
    lines = dict(line.split(':') for line in open(f'/proc/self/fdinfo/{fd}'))
    if 'prog_id' not in lines: raise OSError(errno.EINVAL, 'none')
    bpf(13, 'I', int(lines['prog_id']))
tries = {
    'attach': lambda: bpf(8, 'IIII', held['cgroup'], fd, 6, 2),
    'link': lambda: bpf(28, 'IIII', fd, held['cgroup'], 6, 0),
    'update': lambda: bpf(29, 'III', held['link'], fd, 0),
    'program': program_of,
    'fsconfig': lambda: call(FSCONFIG, fd, 6, None, None, 0),
    'fsmount': lambda: call(FSMOUNT, fd, 0, 0),
    'move_mount': lambda: call(MOVE_MOUNT, fd, b'', -100, b'.', 4),
    'open_tree': lambda: call(OPEN_TREE, fd, b'', 0x1001),
    'signal': lambda: call(PIDFD_SEND_SIGNAL, fd, 0, None, 0),
    'getfd': lambda: call(PIDFD_GETFD, fd, 0, 0),
    'setns': lambda: call(268 if os.uname().machine == 'aarch64' else 308, fd, 0),
}
def inode(path): return os.stat(path, dir_fd=fd).st_ino
for name, fd in held.items():
    mode = os.fstat(fd).st_mode
    found = {key for key, action in tries.items() if named(action) == 'done'}
    if stat.S_ISDIR(mode) and name.startswith('mount') and inode('../..') != inode('.'): found.add('above')
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        found |= {key for key, flags in (('read', os.O_RDONLY), ('write', os.O_WRONLY)) if named(lambda: reopen(flags)) == 'done'}
    if name == 'set-uid':
        ids = subprocess.run([f'/proc/self/fd/{fd}', '-u'], pass_fds=[fd], stdout=subprocess.PIPE).stdout
        if ids != b'${ACCOMPLICE}\\n': found.add('rights')
    print(json.dumps([name, sorted(found)]), flush=True)
`

/** In the container: sends whatever it gets. */
const CARRIER = `${PRELUDE}
device, cgroup = sys.argv[1:]
connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); connection.connect('socket')
got = {}
def send(name, make):
    try: got[name] = make()
    except OSError as error: return print('missing', name, errno.errorcode[error.errno], flush=True)
    socket.send_fds(connection, [name.encode()], [got[name]])
code = ctypes.create_string_buffer(bytes([0xb7, 0, 0, 0, 1, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0]))
license = ctypes.create_string_buffer(b'GPL')
send('cgroup', lambda: os.open(cgroup, os.O_RDONLY))
send('program', lambda: bpf(5, 'IIQQ', 15, 2, ctypes.addressof(code), ctypes.addressof(license)))
send('link', lambda: bpf(28, 'IIII', got['program'], got['cgroup'], 6, 0))
send('map', lambda: bpf(0, 'IIII', 2, 4, 4, 1))
send('context', lambda: call(FSOPEN, b'ext4', 0))
call(FSCONFIG, got['context'], 1, b'source', b'image', 0)
call(FSCONFIG, got['context'], 6, None, None, 0)
send('detached', lambda: call(FSMOUNT, got['context'], 0, 0))
os.mkdir('m')
moved = os.dup(got['detached'])
call(MOVE_MOUNT, moved, b'', -100, b'm', 4)
send('mount', lambda: moved)
send('mount-root', lambda: os.open('m', os.O_RDONLY))
send('mount-copy', lambda: call(OPEN_TREE, -100, b'm', 1))
send('picked', lambda: call(FSPICK, -100, b'm', 0))
with open('/usr/bin/id', 'rb') as program, open('set-uid', 'wb') as copy: copy.write(program.read())
os.chmod('set-uid', 0o4755)
send('set-uid', lambda: os.open('set-uid', os.O_PATH))

stand_in = next(f'/dev/{name}' for name in sorted(os.listdir('/dev')) if name.startswith('loop') and name[4:].isdigit())
acl = struct.pack('<IHHIHHIHHIHHIHHI', 2, 1, 7, 0, 2, 7, ${ACCOMPLICE}, 4, 7, 0, 16, 7, 0, 32, 7, 0)
for name, node in (('device', device), ('loop', stand_in), ('loop-control', '/dev/loop-control')):
    opened = os.open(node, os.O_RDWR)
    attempts = {
        'chmod': lambda: os.chmod(node, 0o666), 'fchmod': lambda: os.fchmod(opened, 0o666),
        'chown': lambda: os.chown(node, 1, 1), 'acl': lambda: os.setxattr(node, 'system.posix_acl_access', acl),
    }
    def remount(): call(40 if os.uname().machine == 'aarch64' else 165, b'none', node.encode(), b'none', 0x1020, None)
    print('changes', name, {key for key, action in attempts.items() if named(action) == 'done'}, flush=True)
    if named(remount) == 'done': print('changes', name, 'remount', flush=True)
    print('changes', name, {key for key, action in attempts.items() if named(action) == 'done'}, flush=True)
    send(name, lambda: os.open(node, os.O_PATH))

send('pidfd', lambda: call(PIDFD_OPEN, os.getpid(), 0))
send('pidfd-1', lambda: call(PIDFD_OPEN, 1, 0))
send('fd-of-1', lambda: call(PIDFD_GETFD, got['pidfd-1'], 0, 0))
for name in ('exe', 'root', 'cwd', 'mem', 'environ', 'fd', 'ns/mnt', 'ns/user', 'ns/pid', 'ns/cgroup'):
    send(f'1/{name}', lambda: os.open(f'/proc/1/{name}', os.O_RDONLY))
`

describe('what a container carries off', function () {
  this.timeout(60_000)
  skipUnlessPrivileged()
  skipUnlessPrograms('python3', 'mkfs.ext4', 'losetup')
  const temporary = temporaryDirectories()
  const start = runningContainers()

  describe('of its descriptors', () => {
    skipUnless(CGROUPS !== undefined, 'no cgroup hierarchy of version 2 is mounted')

    it('gives an accomplice on the host nothing after the end', async () => {
      const cwd = temporary()
      // mkdtemp(3) made it 0700, and the accomplice starts inside.
      chmodSync(cwd, 0o777)
      succeed({cwd}, 'sh', '-euc', 'truncate -s 8M image disk; mkfs.ext4 -q image; chmod 666 image')
      const device = succeed({cwd}, 'losetup', '--show', '-f', 'disk').trim()
      try {
        const holder = spawn('python3', ['-I', '-c', HOLDER], {cwd, stdio: ['pipe', 'pipe', 'inherit']})
        await once(holder.stdout, 'data')
        const flags = ['--quiet', '--bpf-devices', '--mount-allowed', 'ext4', '--mount-source', 'image']
        const command = ['python3', '-I', '-c', CARRIER, device, CGROUPS ?? '']
        const {status, stdout, stderr} = interceptorIn({cwd}, 'run', ...flags, '--device', device, '--', ...command)
        holder.stdin.end('go\n')
        const tried = (await text(holder.stdout)).trimEnd().split('\n')
        assert.equal(status, 0, stderr)
        assert.deepEqual(stdout.trimEnd().split('\n'), NOT_GIVEN)
        assert.deepEqual(
          tried.map((line) => JSON.parse(line) as unknown),
          GIVEN.map((name) => [name, []]),
        )
      } finally {
        succeed({}, 'losetup', '-d', device)
      }
      await leavesNoLoopDevice(cwd)
    })
  })

  it('is no descriptor that interceptor had open, in run and in exec', async () => {
    const cwd = temporary()
    const {name} = await start(cwd, [])
    const list = ['python3', '-I', '-c', 'import os; print(sorted(map(int, os.listdir("/proc/self/fd"))))']
    const secret = openSync(join(cwd, 'secret'), 'w')
    try {
      for (const words of [
        ['run', '-q', '--', ...list],
        ['exec', '-q', name, ...list],
      ]) {
        const stdio = ['ignore', 'pipe', 'inherit', secret, secret] as const
        const {stdout} = spawnSync(process.execPath, [INTERCEPTOR, ...words], {cwd, stdio: [...stdio]})
        // The last one is that of the directory.
        assert.equal(stdout.toString(), '[0, 1, 2, 3]\n', words[0])
      }
    } finally {
      closeSync(secret)
    }
  })
})

/** In the order in which they are sent. */
const GIVEN = [
  ...['cgroup', 'program', 'link', 'context', 'detached', 'mount', 'mount-root', 'mount-copy', 'picked', 'set-uid'],
  ...['device', 'loop', 'loop-control', 'pidfd', 'pidfd-1'],
]
const NOT_GIVEN = [
  'missing map EPERM',
  ...['device', 'loop', 'loop-control'].flatMap((name) => [`changes ${name} set()`, `changes ${name} set()`]),
  'missing fd-of-1 EPERM',
  ...['exe', 'root', 'cwd', 'mem', 'environ', 'fd', 'ns/mnt', 'ns/user', 'ns/pid', 'ns/cgroup'].map(
    (name) => `missing 1/${name} EACCES`,
  ),
]
