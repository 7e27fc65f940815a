// --handler as a person uses it: the shipped example, handlers that misbehave, and modules that are none.

import assert from 'node:assert/strict'
import {execFileSync} from 'node:child_process'
import {cpSync, mkdirSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {hasProgram, interceptorIn, PROJECT} from '../../helpers/program.js'
import {canCall} from '../../helpers/raw-calls.js'
import {runningContainers} from '../../helpers/running.js'
import {skipTestUnless, skipUnless, skipUnlessPrivileged} from '../../helpers/skip.js'
import {temporaryDirectories} from '../../helpers/temporary.js'

const EPERM = -1
const EFAULT = -14
const ENAMETOOLONG = -36
const ENOSYS = -38
const ENODATA = -61

describe('run --handler', function () {
  skipUnlessPrivileged()
  skipUnless(hasProgram('cc'), 'needs a C compiler')
  this.timeout(30_000)
  const directory = temporaryDirectories()
  const start = runningContainers()
  let top = ''
  /** Of the commands; handlers lie above it, where containers cannot write. */
  let cwd = ''
  before(() => {
    top = directory()
    cwd = join(top, 'work')
    cpSync(join(PROJECT, 'examples', 'handler'), top, {recursive: true})
    cpSync(join(PROJECT, 'test', 'fixtures', 'handlers.js'), join(top, 'handlers.mjs'))
    const build = (program: string, source: string) =>
      execFileSync('cc', ['-O1', '-pthread', '-static', '-o', join(cwd, program), source])
    build('caesar', join(cwd, 'caesar.c'))
    build('handler-calls', join(PROJECT, 'native', 'test', 'handler-calls.c'))
  })

  const run = (...words: readonly string[]) => interceptorIn({cwd}, 'run', ...words)

  /** Each call with the result that it must have, in one run. */
  function expect(file: string, expected: Readonly<Record<string, number>>, flags: readonly string[] = []): string {
    const words = Object.keys(expected)
    const {stdout, stderr, status} = run('--handler', file, ...flags, '--', './handler-calls', ...words)
    assert.equal(status, 0, stderr)
    assert.equal(stdout, words.map((word) => `${word} ${expected[word]}\n`).join(''), stderr)
    return stderr
  }

  it('answers the call of the example from C', () => {
    const {stdout, stderr} = run('--handler', '../caesar.js', './caesar', 'Hello, kernel', '3')
    assert.equal(stdout, 'Khoor, nhuqho 11\n')
    assert.match(stderr, /caesar\(0x[0-9a-f]+, 13, 3\) = 11 {2}emulated \(handler, \d+ us\): moved 11 letters by 3/)
  })

  it("leaves the command's streams blocking", () => {
    // The worker of the handler begins after the command's streams were handed over.
    const script = 'sleep 0.5; grep flags /proc/self/fdinfo/1 /proc/self/fdinfo/2 | cut -f 2'
    const {stdout} = run('--handler', '../caesar.js', 'sh', '-c', script)
    const modes = stdout.trim().split('\n')
    assert.deepEqual(
      modes.map((flags) => parseInt(flags, 8) & 0o4000),
      [0, 0],
    )
  })

  it('answers the call of the example from Python', function () {
    skipTestUnless(this, hasProgram('python3'), 'python3 not installed')
    // Wherever the container sees one: the first of the PATH may lie in a home.
    const {stdout} = run(
      '--handler',
      '../caesar.js',
      '--env',
      'PATH=/usr/bin:/bin',
      'python3',
      'caesar.py',
      'Khoor',
      '-3',
    )
    assert.equal(stdout, 'Hello 5\n')
  })

  it("gives the caller the kernel's errors for bad memory, and has the call on every ABI", () => {
    const x86 = process.arch === 'x64' && canCall('i386') ? {'i386:5000,0,0,0': 0, 'i386:5000,8,1,1': EFAULT} : {}
    expect('../caesar.js', {'5000,8,16,1': EFAULT, '5000,@abc,3,1': 3, '5000,0,65537,1': -7, '4999': ENOSYS, ...x86})
  })

  it('refuses the one call that a handler throws at, hangs in or answers with nonsense', () => {
    const log = expect('../handlers.mjs', {
      '5001,2,3': 5,
      '5002': EPERM,
      '5003': EPERM,
      '5001,20,30': 50,
      '5004': EPERM,
      '5005': EPERM,
      '5006': EPERM,
      '5007': EPERM,
      '5008': EPERM,
      '5009': EPERM,
      '5011': EPERM,
      '5012': EPERM,
      '5013': ENODATA,
      '5014': ENOSYS,
      '5001,-7,3': EPERM,
      '5001,1,1': 2,
    })
    for (const line of [
      'the handler of throws threw: on purpose\\n\\x1b[2J',
      'the handler of hangs did not answer within 400 ms',
      'the handler of promises returned a promise: it must answer at once',
      'the handler of says_nothing returned undefined instead of an object',
      'the handler of says_too_much returned value and errno',
      'the handler of says_nonsense returned a value that is no natural number',
      'the handler of says_wild_errno returned an errno that does not exist',
      "what the handler of says_wild_descriptor returned can't be used",
      'the worker of the handlers ended: it left by itself',
      'the handler of throws_null threw: null',
      'failed (handler',
      'there is none',
      'continued: the handler hands it to the kernel',
    ]) {
      assert.ok(log.includes(line), `${line}\n${log}`)
    }
  })

  it('goes on after a handler that fails when it has answered', () => {
    const {stdout, status} = run(
      '--handler',
      '../handlers.mjs',
      '--',
      './handler-calls',
      '5010',
      '35,0',
      '5001,1,1',
      '5001,1,2',
    )
    assert.equal(status, 0)
    assert.match(stdout, /^5010 7\n/)
    assert.match(stdout, /5001,1,2 3\n$/)
  })

  it('keeps other calls from waiting for a handler that hangs', () => {
    const {stdout} = run('--handler', '../handlers.mjs', '--sysinfo', '--', './handler-calls', 'pair:5017+99,0')
    assert.equal(stdout, 'pair:5017+99,0 0\n')
  })

  it('reads texts with their limit and knows the caller', () => {
    expect('../handlers.mjs', {'5015,@four': 4, '5015,0': EFAULT, [`5015,@${'x'.repeat(40)}`]: ENAMETOOLONG})
  })

  it("takes a kernel's call by its name, and only where its condition holds", () => {
    const number = process.arch === 'arm64' ? 141 : 140
    expect('../handlers.mjs', {[`${number},77,0`]: 42, [`${number},0,0`]: 20})
  })

  it('puts a descriptor into the caller', () => {
    const {stdout} = run('--handler', '../handlers.mjs', '--', './handler-calls', '5016')
    assert.match(stdout, /^5016 [3-9]\n$/)
  })

  it('is kept or left out by exec, and none is added', async () => {
    const {name} = await start(cwd, ['--handler', '../caesar.js'])
    const exec = (...words: readonly string[]) =>
      interceptorIn({cwd}, 'exec', ...words, name, './caesar', 'Khoor', '-3')
    assert.equal(exec().stdout, 'Hello 5\n')
    assert.equal(exec('--handler', '../caesar.js').stdout, 'Hello 5\n')
    assert.match(exec('--sysinfo').stderr, /cannot allow more/)
    assert.match(exec('--handler', '../handlers.mjs').stderr, /cannot allow more .*the handler \w+ of /)
    assert.match(exec('--handler', '../nope.js').stderr, /cannot load handler \.\.\/nope\.js: no such file\nhint: /)
  })

  const bad: readonly (readonly [string, string, RegExp])[] = [
    [
      'a file that is not there',
      '',
      /cannot load handler bad\.mjs: no such file\nhint: --handler takes a JavaScript module/,
    ],
    ['a module that throws', 'throw new Error("early")', /cannot load handler bad\.mjs: early/],
    ['a syntax error', 'export default {', /cannot load handler bad\.mjs: .*\nhint: node --check bad\.mjs shows where/],
    ['no default export', 'export const a = 1', /its default export is no handler/],
    ['no function', 'export default {name: "x", number: 5000}', /x has no function handle/],
    ['an unknown member', 'export default {name: "x", handler() {}}', /unknown member "handler"\nhint: write handle/],
    [
      'an unknown call',
      'export default {name: "getpidd", handle() {}}',
      /has a call getpidd\nhint: did you mean getpid\?/,
    ],
    ['a number of the kernel', 'export default {name: "x", number: 39, handle() {}}', /number 39 is \w+ on \w+/],
    [
      'a number with a name of the kernel',
      'export default {name: "getpid", number: 5000, handle() {}}',
      /takes no number/,
    ],
    [
      'a wrong kind',
      'export default {name: "x", number: 5000, arguments: {a: {kind: "text", index: 0}}, handle() {}}',
      /kinds are int/,
    ],
    [
      'no limit',
      'export default {name: "x", number: 5000, arguments: {a: {kind: "string", index: 0}}, handle() {}}',
      /needs a limit/,
    ],
    ['a wrong time', 'export default {name: "x", number: 5000, timeLimitMs: 0, handle() {}}', /timeLimitMs of x/],
    [
      'a wrong condition',
      'export default {name: "getpid", condition: [[{argument: 9}]], handle() {}}',
      /a comparison needs/,
    ],
    ['a call twice', 'const c = {name: "x", number: 5000, handle() {}}; export default [c, c]', /x has two handlers/],
    ['a call of another family', 'export default {name: "sysinfo", handle() {}}', /other flags have it answered/],
  ]
  for (const [title, text, message] of bad) {
    it(`refuses ${title} before anything runs`, () => {
      const file = text === '' ? '../bad.mjs' : `../bad-${title.replaceAll(/\W/g, '-')}.mjs`
      if (text !== '') writeFileSync(join(cwd, file), text)
      const {status, stdout, stderr} = run('--sysinfo', '--handler', file, 'echo', 'ran')
      assert.equal(stdout, '')
      assert.equal(status, 125, stderr)
      assert.match(stderr.replaceAll(file, 'bad.mjs'), message)
    })
  }

  it('refuses a module that the container can write to, wherever that lets it', () => {
    const [place, elsewhere] = [directory(), directory()]
    mkdirSync(join(place, 'below'))
    for (const file of ['h.mjs', 'below/h.mjs']) cpSync(join(top, 'caesar.js'), join(place, file))
    const refused = (directory: string, ...words: readonly string[]) => {
      const {status, stdout, stderr} = interceptorIn({cwd: directory}, 'run', ...words, '--', 'echo', 'ran')
      assert.deepEqual([status, stdout], [125, ''], stderr)
      assert.match(
        stderr,
        /cannot use --handler \S+h\.mjs: the container can write to it, and it runs outside of it\n/u,
      )
      assert.match(stderr, /\nhint: .*the directory above\nhint: or add --read-only\n$/u)
    }
    refused(place, '--handler', 'h.mjs')
    refused(place, '--handler', 'below/h.mjs')
    refused(elsewhere, '--handler', join(place, 'below/h.mjs'), '--bind', `${place}:/mnt`)
    refused(elsewhere, '--handler', join(place, 'h.mjs'), '--bind', `${join(place, 'h.mjs')}:/tmp/h`)
    refused(elsewhere, '--handler', join(place, 'h.mjs'), '--rootfs', place)
    const runs = [
      interceptorIn({cwd: place}, 'run', '--handler', 'h.mjs', '--read-only', '--', 'echo', 'ran'),
      interceptorIn({cwd: join(place, 'below')}, 'run', '--handler', '../h.mjs', '--', 'echo', 'ran'),
      interceptorIn(
        {cwd: elsewhere},
        'run',
        '--handler',
        join(place, 'h.mjs'),
        '--bind',
        `${place}:/mnt:ro`,
        'echo',
        'ran',
      ),
    ]
    for (const {stdout, stderr} of runs) assert.equal(stdout, 'ran\n', stderr)
  })

  it('takes no handler from a configuration file that was found', () => {
    const place = directory()
    writeFileSync(join(place, '.interceptorrc.json'), JSON.stringify({handler: [join(top, 'caesar.js')]}))
    const {stderr, stdout} = interceptorIn({cwd: place}, 'run', join(cwd, 'caesar'), 'a', '1')
    assert.notEqual(stdout, 'b 1\n', stderr)
    const named = interceptorIn(
      {cwd: place},
      'run',
      '--config',
      '.interceptorrc.json',
      '--bind',
      cwd,
      join(cwd, 'caesar'),
      'a',
      '1',
    )
    assert.equal(named.stdout, 'b 1\n', named.stderr)
  })
})
