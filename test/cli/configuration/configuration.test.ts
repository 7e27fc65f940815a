// Configuration files as a person uses them: found, named, passed over, refused.

import assert from 'node:assert/strict'
import {readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {interceptorIn, isRoot} from '../../helpers/program.js'
import {skipUnlessPrivileged} from '../../helpers/skip.js'
import {temporaryDirectories} from '../../helpers/temporary.js'

const LXD = `architecture: x86_64
config:
  security.syscalls.intercept.mknod: "true"
  security.syscalls.deny: keyctl errno 38
  raw.idmap: both 1000 1000
  user.note: x
profiles: [default]
`

describe('a configuration file', () => {
  const temporary = temporaryDirectories()

  it('is named with its line where it is wrong', () => {
    const cwd = temporary()
    writeFileSync(join(cwd, 'c.yaml'), 'sysinfo: true\nmknod-alow: c:10:229\n')
    const {status, stderr} = interceptorIn({cwd}, 'run', '--config', 'c.yaml', '--', 'true')
    assert.deepEqual(
      {status, stderr},
      {
        status: 125,
        stderr: `interceptor: ${cwd}/c.yaml:2: unknown key "mknod-alow"\nhint: write mknod-allow\n`,
      },
    )
    assert.equal(interceptorIn({cwd}, 'explain', '--config', 'c.yaml').status, 2)
  })

  it('is named with its line where a value cannot be', () => {
    const cwd = temporary()
    writeFileSync(join(cwd, 'c.yaml'), 'sysinfo: true\n\nmemory: 5Q\nmknod-allow: [c:1:3, /dev/absent]\n')
    writeFileSync(join(cwd, 'lxd.yaml'), 'config:\n  limits.memory: lots\n')
    const errorOf = (...words: string[]) => interceptorIn({cwd}, ...words).stderr
    assert.equal(
      errorOf('run', '--config', 'c.yaml', '--', 'true'),
      `interceptor: ${cwd}/c.yaml:3: memory: "5Q" is not a size\nhint: write it as 256M, 1.5G or 64MiB\n`,
    )
    // A flag that is typed takes the place of the key.
    const other = new RegExp(`^interceptor: ${cwd}/c\\.yaml:4: cannot read device '/dev/absent'`)
    assert.match(errorOf('run', '--config', 'c.yaml', '--memory', '1G', '--', 'true'), other)
    // No run of it could start, so that there is nothing to explain.
    assert.equal(errorOf('explain', '--config', 'c.yaml'), errorOf('run', '--config', 'c.yaml', '--', 'true'))
    assert.match(errorOf('check', '--config', 'lxd.yaml'), /lxd\.yaml:2: /)
  })

  it('is not named and passed over at once', () => {
    const {status, stderr} = interceptorIn({}, 'run', '--config', 'c.yaml', '--no-config', '--', 'true')
    assert.equal(status, 125)
    assert.match(stderr, /--config and --no-config contradict each other/)
  })

  it('says what explain shows', () => {
    const cwd = temporary()
    writeFileSync(join(cwd, 'c.yaml'), 'mknod: true\n')
    assert.match(interceptorIn({cwd}, 'explain', '--config', 'c.yaml').stdout, /^mknod: on/m)
  })

  const made = 'mknodat(AT_FDCWD, "null", S_IFCHR|0666, makedev(1, 3))'
  const answers: readonly (readonly [what: string, lines: string, call: string, answer: RegExp])[] = [
    ['denies a call', 'security.syscalls.deny: mknodat errno 1', made, /refused by the filter \(-1 EPERM\)/],
    ['denies some', 'security.syscalls.deny: mknodat errno 13 [3,259,SCMP_CMP_EQ]', made, /\(-1 EACCES\)/],
    ['denies others', 'security.syscalls.deny: mknodat errno 13 [3,1,SCMP_CMP_EQ]', made, /performed/],
    ['denies nothing by default', 'security.syscalls.deny_default: "false"', 'kexec_load(0, 0, NULL, 0)', /kernel/],
    ['has the command run by another user', 'user: "7:8"', made, /lacks CAP_MKNOD/],
  ]
  for (const [what, line, call, answer] of answers) {
    it(`that ${what} says so in explain`, () => {
      const cwd = temporary()
      writeFileSync(join(cwd, 'c.yaml'), `mknod: true\n${line}\n`)
      assert.match(interceptorIn({cwd}, 'explain', '--config', 'c.yaml', call).stdout, answer)
    })
  }

  it('that denies a call has those of a trace refused', () => {
    const cwd = temporary()
    writeFileSync(join(cwd, 'c.yaml'), 'security.syscalls.deny: chmod errno 38\n')
    writeFileSync(join(cwd, 'trace'), 'chmod("a", 0755) = 0\n')
    const {status, stdout} = interceptorIn({cwd}, 'explain', '--config', 'c.yaml', '--strace', 'trace')
    assert.equal(status, 1)
    assert.match(stdout, /^1: chmod\("a", 0755\) = 0 {2}refused by the filter \(-1 ENOSYS\)/m)
  })

  it('whose ids cannot be mapped ends explain as it ends run', () => {
    const cwd = temporary()
    // Root of the host is nobody's to map; an ordinary user may use no raw.idmap at all.
    writeFileSync(join(cwd, 'c.yaml'), 'mknod: true\nraw.idmap: both 0 1000\n')
    const explained = interceptorIn({cwd}, 'explain', '--config', 'c.yaml', made)
    const ran = interceptorIn({cwd}, 'run', '--config', 'c.yaml', '--', 'true')
    assert.match(explained.stderr, /^interceptor: cannot use raw\.idmap: /m)
    assert.deepEqual([explained.status, explained.stdout, explained.stderr], [2, '', ran.stderr])
  })

  it('of a project counts for an ordinary user who trusted it, and not for root', () => {
    const cwd = temporary()
    const env = {HOME: cwd, XDG_STATE_HOME: undefined}
    writeFileSync(join(cwd, '.interceptorrc'), 'mknod: true\n')
    const isOn = () => /^mknod: on/m.test(interceptorIn({cwd, env}, 'explain').stdout)
    assert.equal(isOn(), false)
    assert.equal(interceptorIn({cwd, env}, 'trust', '.interceptorrc').status, 0)
    assert.equal(isOn(), !isRoot())
    const {stderr} = interceptorIn({cwd, env}, 'explain')
    if (isRoot()) assert.match(stderr, /\.interceptorrc is not used, because root started us; .*--config/)
  })
})

describe('a configuration file of LXD', () => {
  skipUnlessPrivileged()
  const temporary = temporaryDirectories()

  it('makes the container that LXD would make of it', () => {
    const cwd = temporary()
    writeFileSync(join(cwd, 'c.yaml'), LXD)
    const log = join(cwd, 'log')
    const flags = ['--config', 'c.yaml', '--log-file', log, '--log-format', 'json']
    const script = 'mknod null c 1 3 && cat /proc/self/uid_map'
    const {status, stdout, stderr} = interceptorIn({cwd}, 'run', ...flags, '--', 'sh', '-c', script)
    assert.equal(status, 0)
    assert.match(stdout, /^\s+1000\s+1000\s+1$/m)
    const records = readFileSync(log, 'utf8').trim().split('\n')
    const events = records.map((line) => JSON.parse(line) as Record<string, unknown>)
    assert.equal(events.find(({event}) => event === 'start')?.['configuration'], join(cwd, 'c.yaml'))
    assert.match(stderr, /passed over, .*: user\.note$/m)
    assert.ok(events.some(({syscall, verdict}) => String(syscall).startsWith('mknod') && verdict === 'emulated'))
  })

  it('gives way to flags', () => {
    const cwd = temporary()
    writeFileSync(join(cwd, 'c.yaml'), 'hostname: fromfile\nmemory: 64M\n')
    const flags = ['--quiet', '--config', 'c.yaml', '--hostname', 'fromflag']
    assert.equal(interceptorIn({cwd}, 'run', ...flags, '--', 'hostname').stdout, 'fromflag\n')
  })
})
