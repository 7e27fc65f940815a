// What root of an ordinary user's container tries in order to get at what that user has no right to on the host.

import assert from 'node:assert/strict'
import {spawn, spawnSync} from 'node:child_process'
import {once} from 'node:events'
import {accessSync, chmodSync, constants, lstatSync, mkdirSync, readFileSync, readdirSync, writeFileSync} from 'node:fs'
import {createServer} from 'node:net'
import type {Server} from 'node:net'
import {release, userInfo} from 'node:os'
import {join} from 'node:path'

import {parseProcIdMap, subordinateRanges} from '../../src/container/userns/idmap.js'
import {decodeDevice} from '../../src/kernel/device-numbers.js'
import {INTERCEPTOR, interceptorIn} from '../helpers/program.js'
import {skipTestUnless, skipUnlessPrograms, skipUnlessRootless} from '../helpers/skip.js'
import {temporaryDirectories} from '../helpers/temporary.js'

describe('a hostile container of an ordinary user', () => {
  skipUnlessRootless()
  skipUnlessPrograms('newuidmap', 'python3')
  const directory = temporaryDirectories()
  const own = userInfo()
  const ranges = (file: string) => subordinateRanges(readFileSync(file, 'utf8'), [own.username, String(own.uid)])
  let cwd = ''
  before(() => {
    cwd = directory()
  })
  const run = (...words: string[]) => interceptorIn({cwd}, 'run', '--trace', 'none', ...words)
  /** Each line of the script is one attempt; the shell goes on after a failure. */
  const attempt = (script: string, ...flags: string[]) => run(...flags, '--', 'bash', '-c', `${script}\ntrue`)
  const python = (source: string, ...words: string[]) => run('--', 'python3', '-c', source, ...words)

  it('reads nothing that the user cannot read', () => {
    assert.throws(() => accessSync('/etc/shadow', constants.R_OK))
    const {stdout} = attempt('cat /etc/shadow /etc/gshadow; ls /root; cat /proc/kcore; cat /proc/1/environ')
    assert.equal(stdout, '')
  })

  describe('with a home that holds keys and sockets', () => {
    let home = ''
    let server: Server | undefined
    const atHome = (where: string, ...words: string[]) =>
      interceptorIn({cwd: where, env: {HOME: home}}, 'run', '--trace', 'none', ...words)
    const connect = 'import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1].replace("@", "\\0", 1))'

    before(async () => {
      home = directory()
      for (const name of ['work', 'private', '.local', '.local/bin']) mkdirSync(join(home, name), {mode: 0o700})
      writeFileSync(join(home, 'private/key'), 'secret', {mode: 0o600})
      spawnSync('mkfifo', ['-m', '600', join(home, 'private/fifo')])
      writeFileSync(join(home, '.local/bin/tool'), '#!/bin/sh\necho tool\n', {mode: 0o755})
      writeFileSync(join(home, 'work/script'), `#!${home}/.local/bin/tool\n`, {mode: 0o755})
      server = createServer().listen(join(home, 'private/agent'))
      await once(server, 'listening')
    })
    after(() => server?.close())

    it('sees nothing of it, reaches no socket and no FIFO there', () => {
      const script = `ls -A ${home}; cat ${home}/private/key; echo x >${home}/private/fifo`
      for (const where of [cwd, join(home, 'work')]) {
        const {stdout} = atHome(where, '--', 'sh', '-c', script)
        assert.equal(stdout, where === cwd ? '' : 'work\n')
        const {status, stderr} = atHome(where, '--', 'python3', '-c', connect, join(home, 'private/agent'))
        assert.equal(status, 1)
        assert.match(stderr, /FileNotFoundError/u)
      }
    })

    it('reaches no socket of the abstract namespace', async function () {
      const [major = 0, minor = 0] = release().split('.').map(Number)
      skipTestUnless(this, major > 6 || (major === 6 && minor >= 12), 'Landlock has no scopes before Linux 6.12')
      const name = `interceptor-test-${process.pid}`
      const listening = spawn('python3', [
        ...[
          '-c',
          `import socket, time; s = socket.socket(socket.AF_UNIX); s.bind("\\0${name}"); s.listen(1); print(1, flush=True); time.sleep(60)`,
        ],
      ])
      try {
        await once(listening.stdout, 'data')
        const {status, stderr} = atHome(cwd, '--', 'python3', '-c', connect, `@${name}`)
        assert.equal(status, 1)
        assert.match(stderr, /PermissionError/u)
      } finally {
        listening.kill()
      }
    })

    it('is shown read-only with --home ro, and in parts with --bind', () => {
      const all = atHome(cwd, '--home', 'ro', '--', 'sh', '-c', `cat ${home}/private/key; : 2>&1 >${home}/new`)
      assert.match(all.stdout, /^secret.*Read-only/su)
      const part = atHome(cwd, '--bind', `${home}/.local:${home}/.local:ro`, '--', `${home}/.local/bin/tool`)
      assert.equal(part.stdout, 'tool\n')
    })

    it('names the flag that shows a command or its interpreter', () => {
      const hint = `--bind ${home}/.local:${home}/.local:ro`
      const missing = atHome(cwd, '--', `${home}/.local/bin/tool`)
      assert.deepEqual([missing.status, missing.stderr.includes(hint)], [127, true], missing.stderr)
      const script = atHome(join(home, 'work'), '--', './script')
      assert.deepEqual([script.status, script.stderr.includes(hint)], [127, true], script.stderr)
    })

    it('is not what a command may write to by being started there', () => {
      const {status, stderr} = atHome(home, '--', 'true')
      assert.equal(status, 125)
      assert.match(stderr, /cannot make the current directory .* writable: it is, or holds, your home directory/u)
      assert.match(stderr, /--home ro/u)
    })

    it('stays hidden where a command starts above it that may write nothing', () => {
      const {status, stdout} = atHome('/', '--read-only', '--', 'sh', '-c', `pwd; ls -A ${home}`)
      assert.deepEqual([status, stdout], [0, '/\n'])
    })
  })

  it('changes nothing of the helper outside that it has executed as its own program', () => {
    const source = [
      'import errno, os, subprocess, sys, time',
      'os.symlink("/proc/self/exe", "helper"); os.mkdir("m"); open("image", "w").close()',
      'end = time.monotonic() + 20',
      'while time.monotonic() < end:',
      '    mount = subprocess.Popen(["mount", "-i", "-t", "ext4", "image", "m"], stderr=subprocess.DEVNULL)',
      '    while mount.poll() is None:',
      '        for pid in filter(str.isdigit, os.listdir("/proc")):',
      '            try:',
      '                if "interceptor-init" not in os.readlink(f"/proc/{pid}/exe"): continue',
      '                fd = os.open(f"/proc/{pid}/exe", os.O_RDONLY)',
      '            except OSError: continue',
      '            try: os.fchmod(fd, os.fstat(fd).st_mode)',
      '            except OSError as error: sys.exit(print(errno.errorcode[error.errno]))',
      '            sys.exit(print("changed"))',
    ].join('\n')
    const {stdout, stderr} = run('--mount-fuse', `ext4=${cwd}/helper`, '--', 'python3', '-c', source)
    assert.equal(stdout, 'EROFS\n', stderr)
  })

  it('gets no usable node of a device that the user may not open, under any name or mode', function () {
    const node = devices().find(({path}) => !mayOpen(path))
    skipTestUnless(this, node !== undefined, 'this user may open every device of the host')
    const {type, major, minor} = node!
    const script = [
      `mknod n ${type} ${major} ${minor}; chmod 666 n; chown 0:0 n`,
      'head -c 1 n | wc -c; echo x 2>/dev/null > n; mv n m; ln m l; head -c 1 m 2>&1 | tr -d x | wc -c',
      'dd if=l of=/dev/null count=1 2>&1 | head -1',
    ].join('\n')
    const {status, stderr} = attempt(script, '--mknod-allow', `${type}:${major}:${minor}`)
    assert.equal(status, 0, stderr)
    // Whatever it was shown as, what was written went into an empty file of the user's own.
    for (const name of readdirSync(cwd)) assert.ok(!lstatSync(join(cwd, name)).isBlockDevice(), name)
    assert.ok(!mayOpen(node!.path))
  })

  it('changes nothing of the host’s own node through one that is bound from it', () => {
    const facts = () => {
      const {mode, uid, gid, mtimeMs} = lstatSync('/dev/null')
      return {mode, uid, gid, mtimeMs}
    }
    const before = facts()
    const script = [
      'mknod n c 1 3; chmod 600 n; chown 5:5 n; touch -d 2001-01-01 n; setfattr -n user.x -v y n',
      'chmod 600 /dev/null; chown 5:5 /dev/null; touch -d 2001-01-01 /dev/null; rm -f /dev/null; mv n o; rm o',
    ].join('\n')
    assert.equal(attempt(script, '--mknod').status, 0)
    assert.deepEqual({...facts(), mtimeMs: 0}, {...before, mtimeMs: 0})
    assert.ok(facts().mtimeMs >= before.mtimeMs)
  })

  it('leaves nothing that gives anyone another account’s rights outside', () => {
    const script = 'for id in 0 1 33; do cp /usr/bin/id s$id; chown $id:$id s$id; chmod 6755 s$id; done'
    assert.equal(attempt(script).status, 0)
    chmodSync(cwd, 0o755)
    assert.equal(spawnSync(join(cwd, 's0'), ['-u'], {encoding: 'utf8'}).stdout, `${own.uid}\n`)
    for (const name of ['s0', 's1', 's33']) {
      const {uid, gid} = lstatSync(join(cwd, name))
      assert.ok(isOwn(uid, ranges('/etc/subuid'), own.uid), `${name} belongs to ${uid}`)
      assert.ok(isOwn(gid, ranges('/etc/subgid'), own.gid), `${name} belongs to group ${gid}`)
    }
    assert.equal(attempt('rm s0 s1 s33').status, 0)
  })

  it('maps and uses no id beyond its range', () => {
    const source = `
import os, subprocess
def tried(name, call):
    try: call(); print(name, 'worked')
    except OSError as error: print(name, error.errno)
open('file', 'w').close()
tried('chown', lambda: os.chown('file', 100000, -1))
tried('setuid', lambda: os.setuid(100000))
def write(path, text):
    fd = os.open(path, os.O_WRONLY); os.write(fd, text.encode())
tried('own map', lambda: write('/proc/self/uid_map', '0 0 4294967295'))
tried('map of init', lambda: write('/proc/1/uid_map', '0 0 4294967295'))
child = subprocess.Popen(['unshare', '-U', 'cat'], stdin=subprocess.PIPE)
own = os.readlink('/proc/self/ns/user')
while os.readlink('/proc/%d/ns/user' % child.pid) == own: pass
tried('child map', lambda: write('/proc/%d/uid_map' % child.pid, '0 0 4294967295'))
tried('good child map', lambda: write('/proc/%d/uid_map' % child.pid, '0 5 1'))
child.stdin.close(); child.wait()
`
    const {stdout, stderr} = python(source)
    assert.deepEqual(
      stdout.trim().split('\n'),
      ['chown 22', 'setuid 22', 'own map 1', 'map of init 1', 'child map 1', 'good child map worked'],
      stderr,
    )
  })

  it('sees, signals and traces no process of the host', async () => {
    const script =
      'read pid; kill -0 $pid; kill -KILL $pid; cat /proc/$pid/cmdline; set -- /proc/[0-9]*; echo $#; kill -0 -- -$pid; kill -KILL -1; echo done'
    const child = spawn(process.execPath, [INTERCEPTOR, 'run', 'bash', '-c', script], {
      cwd,
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    child.stdin.end(`${child.pid}\n`)
    const chunks: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
    const [status] = (await once(child, 'close')) as [number | null]
    assert.deepEqual({status, stdout: Buffer.concat(chunks).toString()}, {status: 0, stdout: '2\ndone\n'})
  })

  it('signals nothing outside by way of the process group that it shares', function () {
    skipTestUnless(this, landlockVersion() >= 6, 'this kernel cannot keep signals inside (Landlock since Linux 6.12)')
    const script = '"$0" "$1" run -- sh -c "kill -TERM 0; sleep 9"; echo "$?"'
    const {stdout, signal} = spawnSync('sh', ['-c', script, process.execPath, INTERCEPTOR], {
      cwd,
      encoding: 'utf8',
      detached: true,
    } as object)
    assert.deepEqual({stdout, signal}, {stdout: '143\n', signal: null})
  })

  it('finds nothing of the host beneath what covers it', () => {
    const script = [
      'umount -l /proc; ls -A /proc',
      'mount -t proc proc /proc && ls -d /proc/[0-9]* | grep -vE "^/proc/[1-9][0-9]?$"; true',
      'umount -l /run; umount -l /run; ls -A /run | grep -vxE "lock|mount"',
      'umount -l /tmp; mount -o remount,bind,rw /; touch /usr/interceptor-was-here && echo written',
      'mount --bind / /mnt && mount -o remount,bind,rw /mnt; touch /mnt/usr/interceptor-was-here && echo written',
      'mknod /dev/sda b 8 0; echo 1 > /proc/sys/kernel/core_pattern && echo written; echo b > /proc/sysrq-trigger && echo written',
    ].join('\n')
    assert.deepEqual(attempt(script).stdout, '')
  })

  it('inherits no descriptor but the three streams', () => {
    const {stdout} = python('import os; print(sorted(int(n) for n in os.listdir("/proc/self/fd")))')
    assert.equal(stdout, '[0, 1, 2, 3]\n')
  })

  it('has no capability outside of its own user namespace', () => {
    const source = `
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def tried(name, result): print(name, 'worked' if result == 0 else ctypes.get_errno())
tried('sethostname', libc.sethostname(b'x', 1))
tried('settimeofday', libc.settimeofday(ctypes.create_string_buffer(16), None))
tried('swapoff', libc.swapoff(b'/file'))
tried('reboot', libc.reboot(0))
tried('syslog', min(0, libc.klogctl(5, None, 0)))
tried('nice', 0 if libc.setpriority(0, 0, -5) == 0 else 1)
`
    const {stdout, stderr} = python(source)
    // The host name is the container's own.
    assert.deepEqual(
      stdout.trim().split('\n'),
      ['sethostname worked', 'settimeofday 1', 'swapoff 1', 'reboot 22', 'syslog 1', 'nice 13'],
      stderr,
    )
  })

  it('does not believe a person’s variable that it had entered a user namespace', () => {
    const map = parseProcIdMap(
      interceptorIn({cwd, env: {INTERCEPTOR_USER_NAMESPACE: '1:1:0:0:none:0:0:0'}}, 'run', 'cat', '/proc/self/uid_map')
        .stdout,
    )
    assert.equal(map[0]?.count, 1)
  })

  function isOwn(id: number, mine: readonly {start: number; count: number}[], self: number): boolean {
    return id === self || mine.some(({start, count}) => id >= start && id < start + count)
  }
})

function mayOpen(path: string): boolean {
  try {
    accessSync(path, constants.R_OK)
    return true
  } catch {
    return false
  }
}

function devices(): readonly {path: string; type: 'b' | 'c'; major: number; minor: number}[] {
  return readdirSync('/dev').flatMap((name) => {
    const path = join('/dev', name)
    const stats = lstatSync(path)
    if (!stats.isBlockDevice() && !stats.isCharacterDevice()) return []
    return [{path, type: stats.isBlockDevice() ? ('b' as const) : ('c' as const), ...decodeDevice(stats.rdev)}]
  })
}

/** landlock_create_ruleset(2) with LANDLOCK_CREATE_RULESET_VERSION. */
function landlockVersion(): number {
  const source = 'import ctypes; print(ctypes.CDLL(None).syscall(444, None, 0, 1))'
  return Number(spawnSync('python3', ['-c', source], {encoding: 'utf8'}).stdout)
}
