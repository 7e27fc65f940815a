// interceptor exec as a person runs it, as root.

import assert from 'node:assert/strict'
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {existsSync, readFileSync, readdirSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {hasProgram, INTERCEPTOR, interceptorIn, programIn} from '../../helpers/program.js'
import {descendantsOf, isAlive, membersOf, until} from '../../helpers/processes.js'
import {pidNamespaceOf, runningContainers} from '../../helpers/running.js'
import type {Running} from '../../helpers/running.js'
import {skipTestUnless, skipUnlessPrivileged, skipUnlessPrograms} from '../../helpers/skip.js'
import {temporaryDirectories} from '../../helpers/temporary.js'

describe('interceptor exec', () => {
  skipUnlessPrivileged()
  const directory = temporaryDirectories()
  const start = runningContainers()
  let cwd = ''
  let first: Running
  before(async () => {
    cwd = directory()
    first = await start(cwd, ['--mknod', '--sysinfo', '--memory', '200M', '--network', 'none', '--hostname', 'first'])
  })
  const exec = (...words: string[]) => interceptorIn({cwd: '/'}, 'exec', ...words)
  const sh = (script: string, ...flags: string[]) => exec(...flags, first.name, '--', 'sh', '-c', script)

  it("shares all namespaces of the container's first command, its root, directory and host name", () => {
    const own = '/proc/self/ns/'
    const kinds = readdirSync(own).sort()
    const {stdout, stderr} = sh(`readlink ${kinds.map((kind) => own + kind).join(' ')}; pwd; hostname; id -u; id -G`)
    const command = descendantsOf(first.supervisor.pid).find((pid) => readComm(pid) === 'sleep')
    const expected = programIn({}, 'readlink', ...kinds.map((kind) => `/proc/${command ?? 0}/ns/${kind}`))
    assert.equal(stdout, `${expected.stdout}${cwd}\nfirst\n0\n0\n`)
    assert.equal(stderr, '')
  })

  it('is in the cgroups that limit the container and its devices', () => {
    const command = descendantsOf(first.supervisor.pid).find((pid) => readComm(pid) === 'sleep')
    assert.ok(command !== undefined)
    const groups = (pid: number) =>
      readFileSync(`/proc/${pid}/cgroup`, 'latin1')
        .split('\n')
        .filter((line) => line.includes(first.name))
    const child = spawn(process.execPath, [INTERCEPTOR, 'exec', first.name, 'sleep', '30'], {stdio: 'ignore'})
    return until(() => descendantsOf(child.pid ?? 0).some((pid) => readComm(pid) === 'sleep'), 'sleep runs')
      .then(() => {
        const session = descendantsOf(child.pid ?? 0).find((pid) => readComm(pid) === 'sleep')
        assert.ok(groups(command).length > 0)
        assert.deepEqual(groups(session ?? 0), groups(command))
      })
      .finally(async () => {
        child.kill('SIGTERM')
        await once(child, 'exit')
      })
  })

  it('has its calls performed and shown by a supervisor of its own (M14)', () => {
    const {status, stderr} = sh('mknod null c 1 3 && echo > null')
    assert.equal(status, 0, stderr)
    assert.match(stderr, /^interceptor: \[\d+ mknod\] mknodat\(.*\) = 0 {2}emulated \(node, /u)
    assert.doesNotMatch(first.written(), /mknodat/u)
    const refused = sh('mknod sda b 8 0')
    assert.equal(refused.status, 1)
    assert.match(refused.stderr, /makedev\(8, 0\)\) = -1 EPERM {2}refused/u)
    assert.doesNotMatch(refused.stderr, /to allow it/u, 'no flag of exec would')
  })

  it("answers with the container's limits", function () {
    skipTestUnless(this, hasProgram('busybox'), 'busybox not installed')
    const {stderr} = exec('--log-format', 'json', first.name, 'busybox', 'free')
    const records = stderr.split('\n').filter((line) => line.includes('"syscall":"sysinfo"'))
    assert.match(records[0] ?? '', /memory limit 209715200 of the container/u)
  })

  it('takes the user, directory and variables that it is told', () => {
    const {stdout} = sh('id -u; id -g; pwd; echo $A; grep CapEff /proc/self/status', ...told)
    assert.equal(stdout, '1000\n1001\n/usr\nb\nCapEff:\t0000000000000000\n')
    assert.equal(sh('env', '--clear-env').stdout.includes('MOCHA'), false)
  })
  const told = ['--user', '1000:1001', '--workdir', '/usr', '--env', 'A=b']

  it('finds the container by the pid of its init, and of its supervisor', () => {
    const {pid} = first.supervisor
    const init = JSON.parse(readFileSync(`/run/interceptor/${first.name}.json`, 'utf8')) as {init: {pid: number}}
    for (const number of [pid, init.init.pid]) assert.equal(exec(String(number), 'hostname').stdout, 'first\n')
  })

  const ends: readonly [string, readonly string[], number | null, RegExp][] = [
    ["the command's status", ['sh', '-c', 'exit 42'], 42, /^$/u],
    ['127 where it is not there', ['no-such-program'], 127, /^interceptor: cannot find the command no-such-program/u],
    ['126 where it is no program', ['/etc/passwd'], 126, /^interceptor: cannot execute \/etc\/passwd: /u],
    ['125 where the directory is not there', ['--workdir', '/no', '', 'true'], 125, /^interceptor: cannot change to/u],
  ]
  for (const [title, words, status, stderr] of ends) {
    it(`ends with ${title}`, () => {
      const at = words.indexOf('')
      const line = at < 0 ? [first.name, ...words] : [...words.slice(0, at), first.name, ...words.slice(at + 1)]
      const ended = exec(...line)
      assert.equal(ended.status, status)
      assert.match(ended.stderr, stderr)
    })
  }

  it('dies of the signal that killed the command', () => {
    assert.equal(sh('kill -KILL $$').signal, 'SIGKILL')
  })

  it('keeps standard input and output apart from the container', () => {
    const {stdout} = interceptorIn({cwd: '/', input: 'words\n'}, 'exec', first.name, 'cat')
    assert.equal(stdout, 'words\n')
  })

  it('hands over no descriptor but the three streams', () => {
    assert.equal(sh('ls /proc/$$/fd; :').stdout, '0\n1\n2\n')
  })

  it('forbids what the container forbids: TIOCSTI, kexec and the like', () => {
    const script = 'import fcntl, os; m, s = os.openpty(); fcntl.ioctl(s, 0x5412, b"x")'
    const {status, stderr} = exec(first.name, 'python3', '-c', script)
    assert.equal(status, 1)
    assert.match(stderr, /PermissionError/u)
  })

  describe('with flags of interception', () => {
    it('allows only what they say', () => {
      const {status, stdout} = sh('mknod no c 1 3 2>/dev/null || echo refused', '--sysinfo')
      assert.deepEqual({status, stdout}, {status: 0, stdout: 'refused\n'})
    })

    it('allows nothing that the container may not have', () => {
      const {status, stdout, stderr} = sh('true', '--mknod-allow', 'b:7:0')
      assert.deepEqual({status, stdout}, {status: 125, stdout: ''})
      assert.match(stderr, /cannot allow more than test-\w+ was started with: mknod of b:7:0\nhint: /u)
      assert.match(sh('true', '--setxattr').stderr, /was started with: setxattr, which is off in it\n/u)
    })
  })

  it('logs to a file below the directory where it was started', () => {
    const there = directory()
    interceptorIn(
      {cwd: there},
      'exec',
      '--log-file',
      'log',
      '--log-format',
      'json',
      first.name,
      'mknod',
      'n1',
      'c',
      '1',
      '3',
    )
    const records = readFileSync(join(there, 'log'), 'utf8').trim().split('\n')
    const events = records.map((line) => JSON.parse(line) as {event?: string; syscall?: string})
    assert.deepEqual(
      events.map(({event, syscall}) => event ?? syscall),
      ['start', 'mknodat', 'exit'],
    )
  })

  it('ends what the command leaves behind, and nothing else', () => {
    const script = 'sleep 77 & (setsid sleep 78 &) ; (trap "" TERM HUP; sleep 79) & exit 5'
    assert.equal(sh(script).status, 5)
    const left = membersOf(pidNamespaceOf(first)).map(readCommandLine)
    assert.deepEqual(
      left.filter((line) => line.startsWith('sleep')),
      ['sleep\x00300\0'],
    )
    assert.ok(isAlive(first.supervisor.pid))
  })

  it('ends with the container', async () => {
    const second = await start(cwd, [])
    const child = spawn(process.execPath, [INTERCEPTOR, 'exec', second.name, 'sh', '-c', 'echo up; sleep 60'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let stderr = ''
    child.stderr.on('data', (bytes: Buffer) => (stderr += bytes.toString()))
    await once(child.stdout, 'data')
    second.supervisor.kill('SIGTERM')
    const [status, signal] = (await once(child, 'exit')) as [number | null, string | null]
    assert.deepEqual({status, signal}, {status: null, signal: 'SIGKILL'})
    assert.equal(stderr, `interceptor: ${second.name} has ended, and the command with it\n`)
    assert.match(exec(second.name, 'true').stderr, /cannot find a running container/u)
  })

  it('leaves nothing behind when its supervisor is killed', async () => {
    const child = spawn(
      process.execPath,
      [INTERCEPTOR, 'exec', first.name, 'sh', '-c', 'sleep 81 & echo up; sleep 82'],
      {
        stdio: ['ignore', 'pipe', 'ignore'],
      },
    )
    await once(child.stdout, 'data')
    const sleepers = () => descendantsOf(child.pid ?? 0).filter((pid) => readComm(pid) === 'sleep')
    await until(() => sleepers().length === 2, 'both sleep')
    const made = descendantsOf(child.pid ?? 0)
    assert.ok(made.length >= 4, String(made))
    child.kill('SIGKILL')
    await until(() => !made.some(isAlive), 'all are gone')
    assert.ok(isAlive(first.supervisor.pid))
  })

  it('passes signals on to the command', async () => {
    const script = 'trap "echo got; exit 9" TERM; echo up; while :; do sleep 0.05; done'
    const child = spawn(process.execPath, [INTERCEPTOR, 'exec', first.name, 'sh', '-c', script], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    let stdout = ''
    child.stdout.on('data', (bytes: Buffer) => (stdout += bytes.toString()))
    await until(() => stdout.includes('up'), 'it is up')
    child.kill('SIGTERM')
    const [status] = (await once(child, 'exit')) as [number]
    assert.deepEqual({status, stdout}, {status: 9, stdout: 'up\ngot\n'})
  })

  it('names what is running where a container is not', () => {
    const {status, stderr} = exec('nobody', 'true')
    assert.equal(status, 125)
    assert.match(stderr, new RegExp(`cannot find a running container "nobody"\nhint: .*\\b${first.name}\\b`, 'u'))
  })

  it('recognises the state of a container that died without a word', async () => {
    const third = await start(cwd, [])
    const file = `/run/interceptor/${third.name}.json`
    const text = readFileSync(file)
    third.supervisor.kill('SIGKILL')
    await once(third.supervisor, 'exit')
    await until(() => !existsSync(file), 'the outer process has cleaned up')
    writeFileSync(file, text, {mode: 0o600})
    assert.match(exec(third.name, 'true').stderr, /cannot find a running container/u)
    assert.equal(existsSync(file), false)
  })

  const wrong: readonly [string, readonly string[], RegExp][] = [
    ['nothing', [], /exec needs a command\nhint: interceptor exec \[FLAGS\] CONTAINER/u],
    ['no command', ['c'], /exec needs a command/u],
    ['no command after --', ['c', '--'], /exec needs a command/u],
    ['a flag behind the container', ['c', '--user', '1', 'id'], /flags come before the container, and --user/u],
    ['a misspelt flag', ['--usr', '1', 'c', 'id'], /unknown flag --usr\nhint: did you mean --user\?/u],
    ['a flag of run alone', ['--rootfs', '/', 'c', 'id'], /unknown flag --rootfs/u],
    ['a relative directory', ['--workdir', 'x', 'c', 'id'], /--workdir: "x" is not an absolute path/u],
  ]
  for (const [title, words, stderr] of wrong) {
    it(`explains a command line with ${title}`, () => {
      const ended = exec(...words)
      assert.equal(ended.status, 125)
      assert.match(ended.stderr, stderr)
    })
  }

  describe('on a terminal', () => {
    skipUnlessPrograms('script')

    it('gives the command the terminal and job control', () => {
      const line = `${process.execPath} ${INTERCEPTOR} exec --quiet ${first.name} bash -ic 'tty -s && echo terminal; sleep 0.1 & fg; echo done' 2>&1`
      const {stdout} = programIn({cwd: '/'}, 'script', '-qec', line, '/dev/null')
      assert.match(stdout, /terminal\r\n(.*\r\n)*sleep 0.1\r\ndone\r\n$/u)
      assert.doesNotMatch(stdout, /no job control|cannot set terminal/u)
    })
  })
})

function readComm(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'latin1').trim()
  } catch {
    return ''
  }
}

function readCommandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1')
  } catch {
    return ''
  }
}
