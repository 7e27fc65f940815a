// bpf(2) in real containers: device programs that really deny, and what is refused or left to the kernel.

import assert from 'node:assert/strict'
import {execFileSync, spawn} from 'node:child_process'
import {once} from 'node:events'
import {closeSync, mkdirSync, openSync, rmdirSync} from 'node:fs'
import {join} from 'node:path'
import {text} from 'node:stream/consumers'
import {fileURLToPath} from 'node:url'

import {unifiedMountPoint} from '../../../src/container/cgroup/tree.js'
import {CgroupSubtree} from '../../../src/intercept/families/bpf/cgroup-subtree.js'
import {hasProgram, interceptorIn} from '../../helpers/program.js'
import {skipTestUnless, skipUnless, skipUnlessPrivileged} from '../../helpers/skip.js'
import {temporaryDirectories} from '../../helpers/temporary.js'

const CGROUPS = unifiedMountPoint()?.toString()
const EPERM = -1
const ENOENT = -2
const E2BIG = -7
const EBADF = -9
const EACCES = -13
const EFAULT = -14
const EINVAL = -22

describe('bpf', () => {
  skipUnlessPrivileged()
  skipUnless(CGROUPS !== undefined, 'no cgroup hierarchy of version 2 is mounted')
  skipUnless(hasProgram('cc'), 'needs a C compiler')
  const own = CGROUPS ?? ''
  const directory = temporaryDirectories()
  let cwd = ''
  before(() => {
    cwd = directory()
    const source = fileURLToPath(new URL('../../../native/test/bpf-calls.c', import.meta.url))
    execFileSync('cc', ['-std=gnu11', '-O1', '-static', '-pthread', '-o', join(cwd, 'bpf-calls'), source])
  })

  interface Ran {
    /** What each word printed. */
    readonly results: readonly (readonly [string, string])[]
    readonly log: string
  }

  function runIn(flags: readonly string[], script: string, words: readonly string[]): Ran {
    const command = ['sh', '-c', `${script}; exec ./bpf-calls "$@"`, 'sh', ...words]
    const {stdout, stderr, status} = interceptorIn({cwd}, 'run', ...flags, '--', ...command)
    assert.equal(status, 0, stderr)
    const results = stdout
      .trimEnd()
      .split('\n')
      .map((line) => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)] as const)
    return {results, log: stderr}
  }

  /** Runs words with the result that each must have. */
  function expect(expected: readonly (readonly [string, number | string])[], script = ':', flags = ['--bpf-devices']) {
    const {results, log} = runIn(
      flags,
      script,
      expected.map(([word]) => word),
    )
    assert.deepEqual(
      results,
      expected.map(([word, result]) => [word, String(result)]),
      log,
    )
    return log
  }

  it('M13: loads a program, attaches it to the own cgroup, where it denies a device, and detaches it', () => {
    const log = expect([
      [`open:${own}`, 0],
      ['load:0:deny', 0],
      ['device:/dev/zero', 0],
      ['attach:0:2', 0],
      ['device:/dev/zero', EPERM],
      ['device:/dev/null', 0],
      ['query', '0 count=1 flags=2 ids=1'],
      ['detach:0', 0],
      ['device:/dev/zero', 0],
    ])
    assert.match(log, /BPF_PROG_LOAD, .*prog_type=BPF_PROG_TYPE_CGROUP_DEVICE.* = \d+ {2}emulated \(program/)
  })

  it('gives descriptors that are closed on exec, as the kernel does', () => {
    expect([
      ['load:0:allow', 0],
      ['cloexec:0', 1],
      [`open:${own}`, 0],
      ['link:0', 0],
      ['cloexec:9', 1],
    ])
  })

  it('attaches in cgroups that the container makes below its own', () => {
    expect([
      [`mkdir:${own}/a`, 0],
      [`mkdir:${own}/a/b`, 0],
      [`enter:${own}/a/b/cgroup.procs`, 1],
      [`open:${own}/a`, 0],
      ['load:0:deny', 0],
      ['attach:0:0', 0],
      ['device:/dev/zero', EPERM],
      ['detach-none', 0],
      ['device:/dev/zero', 0],
    ])
  })

  it('B16: replaces a program by the one that the caller means', () => {
    expect([
      [`open:${own}`, 0],
      ['load:0:deny', 0],
      ['load:1:allow', 0],
      ['attach:0:2', 0],
      ['attach:1:6:1', ENOENT],
      ['attach:1:6:0', 0],
      ['device:/dev/zero', 0],
      ['attach:0:6:5', EBADF],
      ['detach:0', ENOENT],
      ['detach:1', 0],
    ])
  })

  it('keeps a linked program attached as long as the link is open', () => {
    expect([
      [`open:${own}`, 0],
      ['load:0:deny', 0],
      ['link:0', 0],
      ['device:/dev/zero', EPERM],
      ['close:9', 0],
      // The supervisor's own descriptor of it goes a moment after its answer.
      ['wait', 0],
      ['device:/dev/zero', 0],
    ])
  })

  it('tells how many programs there are, also where there is no room for all', () => {
    expect([
      [`open:${own}`, 0],
      ['load:0:deny', 0],
      ['load:1:allow', 0],
      ['attach:0:2', 0],
      ['attach:1:2', 0],
      ['query', '0 count=2 flags=2 ids=2 short=-28 count=2 second=0'],
    ])
  })

  it('gives no program that anybody outside could attach', async () => {
    const victim = join(own, `interceptor-test-outside-${process.pid}`)
    mkdirSync(victim)
    try {
      const words = ['receive:0:passed.socket', `open:${victim}`, 'attach:0:2', 'link:0', 'query']
      const receiver = spawn('./bpf-calls', words, {cwd, stdio: ['ignore', 'pipe', 'inherit']})
      const [output, closed] = [text(receiver.stdout), once(receiver, 'close')]
      expect([
        ['load:0:deny', 0],
        ['send:0:passed.socket', 0],
        // It is of use inside.
        [`open:${own}`, 0],
        ['attach:0:2', 0],
        ['device:/dev/zero', EPERM],
      ])
      await closed
      const results = (await output).trimEnd().split('\n')
      assert.deepEqual(results, [
        'receive:0:passed.socket 0',
        `open:${victim} 0`,
        `attach:0:2 ${EINVAL}`,
        `link:0 ${EINVAL}`,
        'query 0 count=0 flags=0 ids=0',
      ])
    } finally {
      rmdirSync(victim)
    }
  })

  it('forgets programs that the container has closed, and bounds those it holds', () => {
    const closed = Array.from({length: 300}, () => [['load:0:allow', 0] as const, ['close:0', 0] as const]).flat()
    const held = Array.from({length: 256}, () => ['load:0:allow', 0] as const)
    const log = expect([...closed, ...held, ['load:0:allow', -12]])
    assert.match(log, /the container has too many programs/)
  })

  it("gives the verifier's words to the caller", () => {
    const {results} = runIn(['--bpf-devices'], ':', [
      'load:0:bad',
      'log',
      'load:0:log',
      'load:0:halflog',
      'load:0:wildlog',
    ])
    assert.deepEqual(
      results.map(([, result]) => result),
      [String(EACCES), results[1]?.[1], '0', String(EINVAL), String(EFAULT)],
    )
    assert.match(results[1]?.[1] ?? '', /R1=ctx/)
  })

  it("never shows the host's cgroups, not even where the container's own is unmounted", () => {
    expect(
      [
        [`open:${own}`, 0],
        ['load:0:deny', 0],
        ['attach:0:2', EBADF],
        ['link:0', EBADF],
        ['detach-none', EBADF],
      ],
      `umount ${own}; umount ${own} 2>/dev/null; test -z "$(ls ${own})"`,
    )
  })

  it('tells cgroups inside from those outside, removed ones and what is no cgroup', () => {
    const made = join(own, `interceptor-test-${process.pid}`)
    execFileSync('mkdir', ['-p', join(made, 'a', 'b')])
    const fds: number[] = []
    const open = (path: string) => {
      fds.push(openSync(path, 'r'))
      return fds.at(-1)!
    }
    try {
      const subtree = new CgroupSubtree(join(made, 'a'))
      const removed = open(join(made, 'a', 'b'))
      assert.equal(subtree.locate(removed), 'inside')
      assert.equal(subtree.locate(open(join(made, 'a'))), 'inside')
      assert.equal(subtree.locate(open(made)), 'outside')
      assert.equal(subtree.locate(open(own)), 'outside')
      assert.equal(subtree.locate(open(join(made, 'a', 'cgroup.procs'))), 'other')
      assert.equal(subtree.locate(open('/var/tmp')), 'other')
      rmdirSync(join(made, 'a', 'b'))
      assert.equal(subtree.locate(removed), 'missing')
    } finally {
      fds.forEach(closeSync)
      execFileSync('find', [made, '-depth', '-type', 'd', '-exec', 'rmdir', '{}', ';'])
    }
  })

  it('accepts the own cgroup through any mount of it', () => {
    expect(
      [
        ['open:again/a', 0],
        ['load:0:deny', 0],
        ['attach:0:2', 0],
        ['open:bound', 0],
        ['query', '0 count=1 flags=2 ids=1'],
      ],
      'mkdir again bound; mount -t cgroup2 none again; mkdir again/a; mount --bind again/a bound',
    )
  })

  it("attaches to no cgroup of the host while another thread swaps the caller's memory", function () {
    this.timeout(60_000)
    expect(
      [
        ['load:0:allow', 0],
        ['open:mine', 0],
        ['flip:0:/sys/fs/cgroup:400', 0],
      ],
      'mkdir mine; mount -t cgroup2 none mine',
    )
  })

  it('hands no attaching to the kernel for a nested user namespace', () => {
    expect([
      ['load:0:allow', 0],
      [`open:${own}`, 0],
      ['nested', 0],
      ['attach:0:2', EPERM],
      ['link:0', EPERM],
      ['load:1:allow', EPERM],
    ])
  })

  it('refuses programs that name objects by number or take back refusals', () => {
    const log = expect([
      ['load:0:map', EPERM],
      ['load:0:kfunc', EPERM],
      ['load:0:retval', EPERM],
    ])
    assert.match(log, /refused: it refers to a map/)
    assert.match(log, /refused: bpf_set_retval\(\) could take back/)
  })

  it('leaves other programs and commands to the kernel', () => {
    const log = expect([
      ['load:0:socket', EPERM],
      ['raw:0:64:0', EINVAL],
      ['raw:99:64:0', EINVAL],
    ])
    assert.match(log, /continued: the kernel decides about other types of programs/)
    assert.equal(log.split('\n').filter((line) => line.includes(' bpf(')).length, 1)
  })

  it("answers bad input with the kernel's own errors", () => {
    expect([
      ['raw:5:4097:0', E2BIG],
      ['raw:5:152:255', EINVAL],
      ['raw:8:20:255', EINVAL],
      ['raw:8:0:0', EINVAL],
      ['raw:28:64:255', EINVAL],
      ['null:5:152', EFAULT],
      ['load:0:empty', E2BIG],
      ['load:0:huge', E2BIG],
      ['load:0:wild', EFAULT],
      ['load:0:nulllicense', EFAULT],
      ['load:0:longlicense', 0],
      ['load:1:allow:256', EINVAL],
      ['type:0', EINVAL],
      ['type:5', EBADF],
      ['open:/tmp', 0],
      ['attach:0:2', EBADF],
      ['open:/nothing', ENOENT],
      ['attach:0:2', EBADF],
      [`open:${own}`, 0],
      ['attach:5:2', EBADF],
      ['attach:0:3', EINVAL],
      ['attach:0:4096', EINVAL],
    ])
  })

  it('names the flag that is missing', () => {
    const log = expect([['load:0:allow', EPERM]], ':', ['--bpf'])
    assert.match(log, /refused: device programs are not allowlisted; --bpf-devices would allow it/)
  })

  it('takes no device away from the host, and leaves no cgroup behind', function () {
    skipTestUnless(this, own !== '', 'no hierarchy')
    const before = execFileSync('find', [own, '-type', 'd'], {encoding: 'utf8'})
    expect([
      [`mkdir:${own}/left`, 0],
      [`open:${own}/left`, 0],
      ['load:0:deny', 0],
      ['attach:0:0', 0],
    ])
    execFileSync('head', ['-c1', '/dev/zero'])
    const after = execFileSync('find', [own, '-type', 'd', '-name', '*left*'], {encoding: 'utf8'})
    assert.equal(after, '', before)
  })
})
