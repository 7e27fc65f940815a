// A container that tries to get at a command as it enters: see its helper, its descriptors, its memory, or outlive it.

import assert from 'node:assert/strict'
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {readFileSync} from 'node:fs'

import {descendantsOf, isAlive, membersOf, until} from '../helpers/processes.js'
import {INTERCEPTOR, interceptorIn, succeed} from '../helpers/program.js'
import {pidNamespaceOf, runningContainers} from '../helpers/running.js'
import {skipUnlessPrivileged} from '../helpers/skip.js'
import {temporaryDirectories} from '../helpers/temporary.js'

/** Looks at every process that appears, as fast as it can, and says what it could get of one that is not its own. */
const WATCHER = `
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
got = set()

def helper(pid):
    try:
        return b'interceptor-init\\0join' in open(f'/proc/{pid}/cmdline', 'rb').read()
    except OSError:
        return False

def tell(pid, what):
    # The command itself, after execve, may be looked at.
    if helper(pid): got.add(what)

def attempt(pid, what, action):
    try:
        if action(): tell(pid, what)
    except (OSError, IndexError):
        pass

def ids(pid):
    status = open(f'/proc/{pid}/status').read()
    return status.split('Uid:')[1].split('\\n')[0].split() != ['0'] * 4

def trace(pid):
    # PTRACE_SEIZE and PTRACE_INTERRUPT: PTRACE_ATTACH may leave the command stopped.
    if libc.ptrace(0x4206, int(pid), 0, 0) != 0: return False
    tell(pid, 'ptrace')
    libc.ptrace(0x4207, int(pid), 0, 0)
    os.waitpid(int(pid), 0x40000000)
    libc.ptrace(17, int(pid), 0, 0)
    return False

print('ready', flush=True)
while not os.path.exists('stop'):
    for pid in filter(str.isdigit, os.listdir('/proc')):
        if not helper(pid): continue
        got.add('seen')
        attempt(pid, 'ids', lambda: ids(pid))
        for what in ('fd', 'map_files'):
            attempt(pid, what, lambda: os.listdir(f'/proc/{pid}/{what}'))
        for what in ('exe', 'root', 'cwd', 'ns/mnt'):
            attempt(pid, what, lambda: os.readlink(f'/proc/{pid}/{what}'))
        for what in ('mem', 'environ', 'auxv'):
            attempt(pid, what, lambda: open(f'/proc/{pid}/{what}', 'rb').read(1))
        trace(pid)
print('got', sorted(got), flush=True)
`

describe('a hostile container that is entered', () => {
  skipUnlessPrivileged()
  const directory = temporaryDirectories()
  const start = runningContainers()

  it('sees what enters only as its own root, and gets nothing of it', async () => {
    const cwd = directory()
    const container = await start(cwd, ['--mknod'], `exec python3 -c "$(cat <<'END'\n${WATCHER}\nEND\n)"`)
    for (let round = 0; round < 5; round++) {
      const {status} = interceptorIn({cwd: '/'}, 'exec', '--quiet', container.name, 'sh', '-c', 'mknod x c 1 3; rm x')
      assert.equal(status, 0)
    }
    interceptorIn({cwd: '/'}, 'exec', container.name, 'touch', 'stop')
    await once(container.supervisor, 'exit')
    assert.match(container.written(), /^got \['seen'\]$/mu)
  })

  it('can kill what starts a command, which then ends', async () => {
    const container = await start(directory(), [])
    const child = spawn(process.execPath, [INTERCEPTOR, 'exec', container.name, 'sleep', '83'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let stderr = ''
    child.stderr.on('data', (bytes: Buffer) => (stderr += bytes.toString()))
    const isSession = (pid: number) => readFileSync(`/proc/${pid}/cmdline`, 'latin1').endsWith('\0join\0')
    await until(() => descendantsOf(child.pid ?? 0).length >= 3, 'the command runs')
    const [, session] = descendantsOf(child.pid ?? 0).filter(isSession)
    process.kill(session ?? 0, 'SIGKILL')
    const [status] = (await once(child, 'exit')) as [number]
    assert.equal(status, 125)
    assert.match(stderr, /cannot go on: what started it in test-\w+ ended early \(SIGKILL\)/u)
    assert.ok(isAlive(container.supervisor.pid))
  })

  it('does not outlive its command with processes that hide in sessions and deep trees', () => {
    return start(directory(), ['--pids', '120']).then((container) => {
      const script = `f() { if [ $1 -gt 0 ]; then setsid sh -c ". ./f; f $(($1-1))" & sleep 84; fi; }`
      const line = `cd /tmp; echo '${script}' > f; . ./f; f 30; sleep 0.5; setsid sleep 84 & exit 4`
      const {status} = interceptorIn({cwd: '/'}, 'exec', container.name, 'sh', '-c', line.replace('f 30;', 'f 30 &'))
      assert.equal(status, 4)
      const left = membersOf(pidNamespaceOf(container)).map(commandLine)
      assert.deepEqual(
        left.filter((line) => line.startsWith('sleep')),
        ['sleep\x00300\0'],
      )
      assert.ok(isAlive(container.supervisor.pid))
    })
  })

  it('mounts for it what a source was when the container began, whatever its name leads to by now', async () => {
    const cwd = directory()
    succeed(
      {cwd},
      'sh',
      '-euc',
      'truncate -s 8M vm; mkfs.ext4 -q vm; mkdir m images; cp vm images/vm; chmod 666 vm images/vm',
    )
    const flags = ['--mount-allowed', 'ext4', '--mount-source', 'vm', '--mount-source', 'images']
    const swap = 'mv vm own; cp own vm; mv images other; mkdir images; cp own images/vm; echo ready; exec sleep 300'
    const container = await start(cwd, flags, swap)
    const mount = (image: string) => {
      const call = `import ctypes; print(ctypes.CDLL(None).mount(b"${image}", b"m", b"ext4", 1, None))`
      const script = `python3 -c '${call}'; umount m 2>/dev/null`
      return interceptorIn({cwd: '/'}, 'exec', container.name, 'sh', '-c', script)
    }
    for (const image of ['vm', 'images/vm']) {
      const {stdout, stderr} = mount(image)
      assert.equal(stdout, '-1\n', image)
      assert.match(stderr, /refused: this image is not among the sources/u, image)
    }
    for (const image of ['own', 'other/vm']) assert.equal(mount(image).stdout, '0\n', image)
  })

  it('opens no device through it that the rule of the container denies', async () => {
    const cwd = directory()
    for (const [name = '', ...numbers] of [
      ['loop', 'b', '7', '0'],
      ['null', 'c', '1', '3'],
    ])
      succeed({cwd}, 'mknod', '-m', '666', name, ...numbers)
    const container = await start(cwd, ['--mknod'])
    const open = (name: string) => interceptorIn({cwd: '/'}, 'exec', container.name, 'head', '-c0', name)
    assert.equal(open('null').status, 0)
    assert.match(open('loop').stderr, /Operation not permitted/u)
  })
})

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1')
  } catch {
    return ''
  }
}
