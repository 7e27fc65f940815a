// `interceptor explain` from the outside.

import assert from 'node:assert/strict'
import {spawnSync} from 'node:child_process'
import {writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {decode} from '../../../src/intercept/filter/bpf.js'
import {checkProgram} from '../../../src/intercept/filter/bpf-vm.js'
import {interceptor, interceptorIn, INTERCEPTOR} from '../../helpers/program.js'
import {temporaryDirectories} from '../../helpers/temporary.js'

const SDA = 'mknodat(AT_FDCWD, "/dev/sda", S_IFBLK|0660, makedev(8, 0))'

describe('interceptor explain', () => {
  const temporaryDirectory = temporaryDirectories()

  it('explains a refusal, and the flag that would change it', () => {
    const {status, stdout, stderr} = interceptor('explain', '--mknod', SDA)
    assert.deepEqual([status, stderr], [1, ''])
    assert.match(stdout, /^mknodat\(AT_FDCWD, "\/dev\/sda", S_IFBLK\|0660, makedev\(8, 0\)\)\n/)
    assert.match(stdout, /^ {2}filter +notify, by the notify filter on /m)
    assert.match(stdout, /devices: c:1:3 no,/)
    assert.match(stdout, /^ {2}answer +refused by the policy \(-1 EPERM\): block 8:0 is not allowlisted$/m)
    assert.match(stdout, /^ {2}flag +--mknod-allow b:8:0 would have it performed$/m)
    assert.equal(interceptor('explain', '--mknod-allow', 'b:8:0', SDA).status, 0)
  })

  it('judges several calls, each by itself', () => {
    const {status, stdout} = interceptor('explain', '--json', SDA, 'ioctl(0, TIOCSTI, "x")', 'read(0, "", 1)')
    const {v, calls} = JSON.parse(stdout) as {v: number; calls: {outcome: string; flags: string[]; by?: string}[]}
    assert.deepEqual([status, v], [1, 1])
    assert.deepEqual(
      calls.map(({outcome, by, flags}) => [outcome, by, flags]),
      [
        ['refused', 'kernel', ['--mknod-allow', 'b:8:0']],
        ['refused', 'filter', []],
        ['kernel', undefined, []],
      ],
    )
  })

  it('shows the families without a call, on and off', () => {
    const {status, stdout} = interceptor('explain', '--mknod')
    assert.equal(status, 0)
    assert.match(stdout, /^mknod: on \(--mknod: /m)
    assert.match(stdout, /^sysinfo: off \(--sysinfo: /m)
    assert.match(stdout, /notifies mknodat on /)
    assert.match(stdout, /or \(int\) arg2 & 0xf000 == 0x2000 and \(int\) arg3 != 0x0/)
    assert.match(stdout, /security\.syscalls\.intercept\.mknod/)
    assert.match(stdout, /^ {2}costs +\d+ instructions of the notify filter, /m)
    assert.match(interceptor('explain').stdout, /^Nothing is performed for the container: /m)
    assert.match(stdout, /^The notify filter has \d+ instructions; /m)
    const json = JSON.parse(interceptor('explain', '--mknod', '--json').stdout) as {families: {enabled: boolean}[]}
    assert.ok(json.families.some(({enabled}) => enabled))
  })

  it('prints the filters that the kernel is given', () => {
    const listing = interceptor('explain', '--mknod', '--filter').stdout
    assert.match(listing, /^# deny filter: /m)
    assert.match(listing, /^# notify filter: /m)
    assert.match(listing, /^0000 {2}0x20 0x00 0x00 0x00000004 {2}A = arch/m)
    const raw = spawnSync(process.execPath, [INTERCEPTOR, 'explain', '--mknod', '--filter=raw']).stdout
    const program = decode(raw)
    checkProgram(program)
    const hex = interceptor('explain', '--mknod', '--filter=hex').stdout
    assert.equal(hex.replaceAll('\n', ''), raw.toString('hex'))
    assert.match(interceptor('explain', '--filter=c').stdout, /^static const struct sock_filter deny_filter\[\] = \{\n/)
  })

  it('finds what a trace would need, also from standard input', () => {
    const trace = [
      '12 mknodat(AT_FDCWD, "a", S_IFCHR|0666, makedev(0x1, 0x3)) = 0',
      '12 mknodat(AT_FDCWD, "b",  <unfinished ...>',
      '12 <... mknodat resumed>S_IFBLK|0660, makedev(0x8, 0x1)) = 0',
      '',
    ].join('\n')
    const file = join(temporaryDirectory(), 'trace')
    writeFileSync(file, trace)
    const {status, stdout, stderr} = interceptor('explain', '--strace', file)
    assert.deepEqual([status, stderr], [1, ''])
    assert.match(stdout, /^2 refused, 0 never intercepted\.$/m)
    assert.match(stdout, /^All would be performed with: --mknod-allow b:8:1$/m)
    const json = interceptorIn({input: trace}, 'explain', '--mknod-allow', 'b:8:1', '--json', '--strace', '-')
    const {calls, summary} = JSON.parse(json.stdout) as {calls: {outcome: string}[]; summary: {refused: unknown[]}}
    assert.deepEqual(
      [json.status, summary.refused, calls.map(({outcome}) => outcome)],
      [0, [], ['performed', 'performed']],
    )
  })

  it('ends with 3 on a call or a line that it cannot judge, with --strict', () => {
    const status = (line: string, ...flags: readonly string[]): number | null =>
      interceptorIn({input: `${line}\n`}, 'explain', '--mknod', ...flags, '--strace', '-').status
    const node = (minor: number, type = 'S_IFCHR'): string => `mknod("a", ${type}|0666, makedev(1, ${minor})) = 0`
    for (const line of [node(3, 'S_WHAT'), `${node(3)}\nmknod("a`]) {
      assert.deepEqual([status(line), status(line, '--strict')], [0, 3], line)
    }
    assert.equal(status(node(3), '--strict'), 0)
    assert.equal(status('clock_settime(0, NULL) = 0', '--strict'), 0)
    assert.equal(status(`${node(1)}\nmknod("a`, '--strict'), 1)
  })

  const wrong: readonly [readonly string[], string][] = [
    [['mknodd("x")'], 'interceptor: x86_64 has no system call mknodd\nhint: did you mean mknod?\n'],
    [
      ['--mknod', 'mknod("x", S_IFCHR|0666)'],
      'interceptor: cannot judge mknod: argument 3 decides, and it is not given\n',
    ],
    [['mknod("x"'], 'interceptor: cannot read the call "mknod(\\"x\\"": ) expected at character 10\n'],
    [['--filter', 'listing'], 'interceptor: explain takes one of --filter and a call, not both\n'],
    [
      ['--mknod-allow', 'sda'],
      "interceptor: cannot read device 'sda': neither TYPE:MAJOR:MINOR nor an absolute path\n",
    ],
    [['--mkond'], 'interceptor: unknown flag --mkond\nhint: did you mean --mknod?\n'],
    [['--abi', 'aarch64', 'read(0)'], 'interceptor: this machine has no calls of aarch64\n'],
  ]
  for (const [words, message] of wrong) {
    it(`ends with 2 on ${words.join(' ')}`, function () {
      if (process.arch !== 'x64' && /x86_64|aarch64/.test(message)) this.skip()
      const {status, stdout, stderr} = interceptor('explain', ...words)
      assert.deepEqual([status, stdout], [2, ''])
      assert.ok(stderr.startsWith(message), stderr)
    })
  }

  it('says which file it cannot read', () => {
    const {status, stderr} = interceptor('explain', '--strace', '/nowhere/trace')
    assert.equal(status, 2)
    assert.match(stderr, /^interceptor: cannot read \/nowhere\/trace: no such file or directory\n$/)
  })
})
