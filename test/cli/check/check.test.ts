// interceptor check as a person runs it, as root and on machines that lack something.

import assert from 'node:assert/strict'
import {writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {INTERCEPTOR, PROJECT, interceptorIn, programIn} from '../../helpers/program.js'
import {skipUnlessPrivileged, skipUnlessPrograms} from '../../helpers/skip.js'
import {temporaryDirectories} from '../../helpers/temporary.js'

interface Found {
  readonly name: string
  readonly state: string
  readonly text: string
  readonly strategy?: string
}

describe('interceptor check', () => {
  skipUnlessPrivileged()
  const directory = temporaryDirectories()
  let cwd = ''
  before(() => {
    cwd = directory()
  })
  const check = (...words: string[]) => interceptorIn({cwd}, 'check', ...words)

  it('tells what works, one line each, and leaves nothing behind', () => {
    // A /var/tmp of its own, in which the project is what it was.
    const script = `
      mount -t tmpfs tmpfs /var/tmp; mkdir -p "$0" /var/tmp/work; mount --no-canonicalize --bind . "$0"; cd /var/tmp/work
      "$@" check; status=$?; { find /var/tmp -maxdepth 1 -name 'interceptor-check*'; ls -A; } >&2; exit $status`
    const words = ['--mount', '--propagation', 'private', 'sh', '-c', script, PROJECT, process.execPath, INTERCEPTOR]
    const {status, stdout, stderr} = programIn({cwd: PROJECT}, 'unshare', ...words)
    assert.deepEqual({status, stderr}, {status: 0, stderr: ''})
    assert.match(stdout, /^ok {6}container +one was made and ended/mu)
    assert.match(stdout, /^ok {6}mknod +node: /mu)
    assert.equal(stdout.includes('\u001B'), false)
  })

  it('agrees with what run does: the strategy is that of a real node', () => {
    const {stdout} = check('--mknod', '--json')
    const result = JSON.parse(stdout) as {good: boolean; families: readonly Found[]}
    assert.equal(result.good, true)
    const run = interceptorIn({cwd}, 'run', '--mknod', '--', 'mknod', 'n', 'c', '1', '3')
    const strategy = result.families.find(({name}) => name === 'mknod')?.strategy
    assert.match(run.stderr, new RegExp(`emulated \\(${strategy ?? '?'},`, 'u'))
    interceptorIn({cwd}, 'run', '--', 'rm', 'n')
  })

  it('ends with 1 where something that was asked for will not work, and names it', () => {
    const {status, stdout} = check('--mount-allowed', 'nosuchfs', '--sysinfo')
    assert.equal(status, 1)
    assert.match(stdout, /\n--mount cannot work here\n$/u)
  })

  it('sets the limits that are asked for, and takes them back', () => {
    const {status, stdout} = check('--memory', '64M', '--pids', '20', '--cpus', '0.5')
    assert.equal(status, 0)
    assert.match(stdout, /^ok {6}cgroups +version .*; --memory, --pids and --cpus can be set as asked for$/mu)
    assert.match(check('--memory', 'much').stderr, /^interceptor: --memory: "much" is not a size\n/u)
  })

  it('ends with 1 for a limit that cannot be set, and for no other', () => {
    // Nothing of a cgroup can be made where its file systems are read-only.
    const script =
      'for d in $(awk \'$3 ~ /^cgroup/ {print $2}\' /proc/mounts); do mount -o remount,bind,ro "$d"; done; "$@"'
    const inHere = (...words: string[]) =>
      programIn({cwd}, 'unshare', '-m', 'sh', '-c', script, 'sh', process.execPath, INTERCEPTOR, 'check', ...words)
    const {status, stdout} = inHere('--memory', '64M')
    assert.equal(status, 1)
    assert.match(stdout, /^missing cgroups +version .*; no --memory, --pids, --cpus: cannot /mu)
    assert.match(stdout, /^--memory cannot work here$/mu)
    assert.match(inHere().stdout, /^limited cgroups /mu)
  })

  it('loads the handlers that are named', () => {
    const {status, stdout, stderr} = check('--handler', 'absent.js')
    assert.deepEqual({status, stdout}, {status: 2, stdout: ''})
    assert.match(stderr, /^interceptor: cannot load handler absent\.js: no such file\n/u)
  })

  it('validates the configuration', () => {
    const file = join(cwd, 'bad.yaml')
    writeFileSync(file, 'mknodd: true\n')
    const {status, stdout, stderr} = check('--config', file)
    assert.deepEqual({status, stdout}, {status: 2, stdout: ''})
    assert.match(stderr, /bad\.yaml.*mknodd/u)
    writeFileSync(file, 'mount-allowed: [nosuchfs]\n')
    assert.equal(check('--config', file).status, 1)
  })

  it('names a misspelt flag, and takes no operand', () => {
    assert.match(check('--mknodd').stderr, /did you mean --mknod\?/u)
    assert.equal(check('--mknodd').status, 2)
    assert.equal(check('word').status, 2)
  })

  it('tells that the current directory is none to be worked in', () => {
    const {stdout} = interceptorIn({cwd: '/'}, 'check', '--json')
    const {findings} = JSON.parse(stdout) as {findings: readonly Found[]}
    const found = findings.find(({name}) => name === 'current directory')
    assert.equal(found?.state, 'missing')
    assert.match(found.text, /^cannot make the current directory \/ writable/u)
  })

  it('finds a listener around it', () => {
    const check = [process.execPath, INTERCEPTOR, 'check', '--sysinfo', '--json']
    // The project may lie below /tmp, which is the container's own.
    const {status, stdout} = interceptorIn({cwd}, 'run', '-q', '--bind', `${PROJECT}::ro`, '--sysinfo', '--', ...check)
    assert.equal(status, 1)
    const {findings} = JSON.parse(stdout) as {findings: readonly Found[]}
    assert.match(
      findings.find(({name}) => name === 'notifications')?.text ?? '',
      /intercepts its system calls already/u,
    )
  })

  describe('on a terminal', () => {
    skipUnlessPrograms('script')

    const onTerminal = (columns: number, env: Readonly<Record<string, string>> = {}) => {
      const line = `stty cols ${columns} rows 40; ${process.execPath} ${INTERCEPTOR} check --mount-allowed nosuchfs`
      return programIn({cwd, env: {TERM: 'xterm', ...env}}, 'script', '-qec', line, '/dev/null')
    }

    it('shows what is being done, and then the findings in colour', () => {
      const {status, stdout} = onTerminal(80)
      assert.equal(status, 1)
      assert.match(stdout, /^.*◼.* cgroups\r$/mu)
      assert.ok(stdout.includes('\u001B[32mok'), stdout)
      assert.match(stdout, /--mount cannot work here/u)
    })

    it('writes whole words on a terminal of no width, and without colour where that is asked for', () => {
      const {stdout} = onTerminal(0, {NO_COLOR: '1'})
      assert.match(stdout, /^ok {6}container +one was made/mu)
    })
  })
})
