// Every command as somebody meets it for the first time: wrong words, files that are not there, odd terminals.

import assert from 'node:assert/strict'
import {spawnSync} from 'node:child_process'
import {mkdirSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {COMMANDS} from '../../../src/commands/index.js'
import type {Ended} from '../../helpers/program.js'
import {hasHelper, hasProgram, interceptor, INTERCEPTOR, interceptorIn} from '../../helpers/program.js'
import {skipTestUnless} from '../../helpers/skip.js'
import {temporaryDirectories} from '../../helpers/temporary.js'

const names = Object.keys(COMMANDS)
const runners = ['run', 'exec']
/** What the command needs so that only its flags can be wrong. */
const operands: Readonly<Record<string, readonly string[]>> = {run: ['true'], exec: ['nobody', 'true']}
const operandsOf = (name: string): readonly string[] => operands[name] ?? []
const usageStatus = (name: string): number => (runners.includes(name) ? 125 : 2)

/** One sentence that begins with our name, hints below it, no stack, nothing on stdout. */
function assertRefused({status, signal, stdout, stderr}: Ended, expected: number, pattern: RegExp): void {
  assert.match(stderr, pattern)
  assert.match(stderr, /^interceptor: [^\n]+\n(hint: [^\n]+\n)*$/)
  assert.deepEqual([status, signal, stdout], [expected, null, ''])
}

/** On a terminal of `columns`, with both outputs of the program. */
function onTerminal(columns: number, words: readonly string[], env: Record<string, string> = {}): string {
  const command = [process.execPath, INTERCEPTOR, ...words]
    .map((word) => `'${word.replaceAll("'", "'\\''")}'`)
    .join(' ')
  const line = `stty cols ${columns} rows 24; ${command}`
  const {stdout} = spawnSync('script', ['-qec', line, '/dev/null'], {
    encoding: 'utf8',
    input: '',
    env: {...process.env, NO_COLOR: '', TERM: 'xterm', ...env},
  })
  return stdout.replaceAll('\r\n', '\n')
}

describe('a new user', () => {
  const directory = temporaryDirectories()
  let work: string

  before(() => {
    work = directory()
    mkdirSync(join(work, 'directory'))
    writeFileSync(join(work, 'prose.txt'), 'Once upon a time there was no trace at all.\n')
    writeFileSync(join(work, 'wrong.yaml'), 'mknod: true\nmemroy: 1G\n')
  })

  it('is shown the commands when nothing is typed', () => {
    const {status, stdout, stderr} = interceptor()
    assert.deepEqual([status, stderr], [0, ''])
    for (const name of names) assert.match(stdout, new RegExp(`^ {2}${name} `, 'm'))
    assert.deepEqual(interceptor('help').stdout, stdout)
    assert.deepEqual(interceptor('--help').stdout, stdout)
  })

  it('is told the nearest command and the nearest flag before it', () => {
    assertRefused(interceptor('explian'), 2, /^interceptor: unknown command explian.*\nhint: did you mean explain\?\n$/)
    assertRefused(interceptor('help', 'rnu'), 2, /unknown command rnu/)
    assertRefused(interceptor('--verson'), 2, /unknown flag --verson\nhint: did you mean --version\?/)
    assertRefused(interceptor('--mknod', 'run', 'ls'), 2, /flags come after the command/)
  })

  for (const name of names) {
    describe(`of ${name}`, () => {
      it('gets an answer without arguments', () => {
        const ended = interceptorIn({cwd: work}, name)
        if (runners.includes(name)) {
          assertRefused(
            ended,
            125,
            new RegExp(`^interceptor: ${name} needs a command\\nhint: interceptor ${name} \\[FLAGS\\]`),
          )
        } else if (name === 'trust') {
          assertRefused(ended, 2, /^interceptor: trust needs a file\nhint: interceptor trust FILE\.\.\.\n$/)
        } else {
          assert.ok(ended.status === 0 || ended.status === 1, ended.stderr)
          assert.notEqual(ended.stdout, '')
        }
      })

      it('gets help with examples, on stdout', () => {
        const {status, stdout, stderr} = interceptor(name, '--help')
        assert.deepEqual([status, stderr], [0, ''])
        assert.match(stdout, new RegExp(`\\nUsage:\\n {2}\\$ interceptor ${name} `))
        assert.match(stdout, /\nExamples:\n/)
        assert.deepEqual(interceptor(name, '-h').stdout, stdout)
      })

      // trust has no flag but --help.
      if (name !== 'trust') {
        it('is told the nearest flag', () => {
          for (const [typed, meant] of [
            ['--mkond', '--mknod'],
            ['--sysinof', '--sysinfo'],
          ] as const) {
            const ended = interceptor(name, typed, ...operandsOf(name))
            assertRefused(ended, usageStatus(name), new RegExp(`unknown flag ${typed}\nhint: did you mean ${meant}\\?`))
          }
        })

        it('is told what a wrong value should be', () => {
          const ended = interceptor(name, '--mknod-allow', 'c:one:two', ...operandsOf(name))
          // exec looks for the container first.
          assertRefused(ended, usageStatus(name), /c:one:two/)
        })

        it('is told that a flag needs a value', () => {
          assertRefused(interceptor(name, '--mknod-allow'), usageStatus(name), /--mknod-allow/)
        })
      }

      it('sees no colour and no bare terminal codes without a terminal', () => {
        const {stdout, stderr} = interceptor(name, '--help')
        // eslint-disable-next-line no-control-regex -- that is what is looked for
        assert.doesNotMatch(stdout + stderr, /[\x00-\x08\x0b-\x1f\x7f]/)
      })

      it('can read help on a narrow terminal', function () {
        skipTestUnless(this, hasProgram('script'), 'script not installed')
        const shown = onTerminal(40, [name, '--help'])
        const prose = shown.split('\n').filter((line) => !line.startsWith('    $ ') && !line.startsWith('  $ '))
        assert.match(shown, /\nExamples:\n/)
        assert.deepEqual(
          prose.filter((line) => line.length > 40 && line.trim().includes(' ') && !line.trim().startsWith('-')),
          [],
        )
      })

      it('may close the pipe', () => {
        const script = '"$@" | head -n 1 >/dev/null; echo "${PIPESTATUS[0]}"'
        const ended = spawnSync('bash', ['-c', script, 'bash', process.execPath, INTERCEPTOR, name, '--help'], {
          encoding: 'utf8',
        })
        assert.deepEqual([ended.stdout, ended.stderr], ['0\n', ''])
      })
    })
  }

  const missing: readonly [readonly string[], number, RegExp][] = [
    [['run', '--config', 'absent.yaml', 'true'], 125, /cannot read the configuration .*absent\.yaml: no such file/],
    [['run', '--config', 'directory', 'true'], 125, /cannot use the configuration .*: it is no regular file/],
    [['run', '--config', 'wrong.yaml', 'true'], 125, /wrong\.yaml:2: unknown key "memroy"\nhint: write memory/],
    [['run', '--rootfs', 'absent', 'true'], 125, /cannot use --rootfs .*absent: there is nothing of that name/],
    [['run', '--rootfs', 'prose.txt', 'true'], 125, /cannot use --rootfs .*prose\.txt: it is not a directory/],
    [['run', '--bind', 'absent', 'true'], 125, /cannot use --bind .*absent: there is nothing of that name/],
    [
      ['run', '--device', '/dev/absent', 'true'],
      125,
      /cannot use --device \/dev\/absent: there is nothing of that name/,
    ],
    [['run', '--workdir', '/absent', 'true'], 125, /cannot use --workdir \/absent: it is not in the container/],
    [['run', 'absent-program'], 127, /cannot find the command absent-program/],
    [['run', './prose.txt'], 126, /cannot execute \.\/prose\.txt: .*permission denied/],
    [['exec', 'nobody', 'true'], 125, /cannot find a running container "nobody"/],
    [['explain', '--config', 'absent.yaml'], 2, /cannot read the configuration .*absent\.yaml: no such file/],
    [['explain', '--strace', 'absent.trace'], 2, /cannot read absent\.trace: no such file or directory\n/],
    [['explain', '--strace', 'directory'], 2, /cannot read directory: it is a directory\n/],
    [['explain', '--strace', 'prose.txt'], 2, /cannot judge prose\.txt: it holds no call in the notation of strace/],
    [['explain', '--log', 'prose.txt'], 2, /cannot judge prose\.txt: it holds no line of a log of interceptor/],
    [['run', '--log-file', 'absent/log', 'true'], 125, /cannot write absent\/log: its directory is not there\n/],
    [['run', '--log-file', 'directory', 'true'], 125, /cannot write the log directory: it is a directory\n/],
    [['run', '--manifest', 'absent/m', 'true'], 125, /cannot write absent\/m: its directory is not there\n/],
    [['run', '--manifest', 'directory', 'true'], 125, /cannot write the manifest directory: it is a directory\n/],
    [
      ['run', '--manifest', 'prose.txt/m', 'true'],
      125,
      /manifest prose\.txt\/m: something on the way is no directory\n/,
    ],
    [
      ['run', '--export-root', '.', '--export', 'absent/x', 'true'],
      125,
      /cannot write absent\/x: its directory is not there\n/,
    ],
    [['run', '--config=', 'true'], 125, /--config needs a value: FILE\n/],
    [['run', '--fail-on', 'nonsense', 'true'], 125, /--fail-on takes only refused, not "nonsense"\n/],
    [['run', '--fail-on', 'refusde', 'true'], 125, /not "refusde"\nhint: did you mean --fail-on refused\?/],
    [['exec', '--log-format', 'yaml', 'nobody', 'true'], 125, /--log-format takes text or json, not "yaml"\n/],
    [
      ['explain', '--filter=lsiting'],
      2,
      /--filter takes .* or c, not "lsiting"\nhint: did you mean --filter listing\?/,
    ],
    [['explain', '--strace'], 2, /--strace needs a value: FILE\n/],
    [['explain', 'mknodd("a")'], 2, /x86_64|aarch64 has no system call mknodd\nhint: did you mean mknod\?/],
    [['explain', 'mknod('], 2, /cannot read the call "mknod\(": .* at character 7\nhint: write it as strace does/],
  ]
  for (const [words, status, pattern] of missing) {
    it(`is told what is wrong with "${words.join(' ')}"`, function () {
      skipTestUnless(this, words[0] !== 'run' || hasHelper(), 'the native helper is not built')
      assertRefused(interceptorIn({cwd: work}, ...words), status, pattern)
    })
  }

  it('sees colours on a terminal, and none with NO_COLOR', function () {
    skipTestUnless(this, hasProgram('script'), 'script not installed')
    skipTestUnless(this, hasHelper(), 'the native helper is not built')
    const words = ['run', '--mknod', '--', 'mknod', '/tmp/sda', 'b', '8', '0']
    assert.ok(onTerminal(80, words).includes('\u001b[31mrefused'))
    const plain = onTerminal(80, words, {NO_COLOR: '1'})
    assert.match(plain, /refused: block 8:0 is not allowlisted/)
    assert.ok(!plain.includes('\u001b'))
  })

  it('is not kept from the output of a command by a closed pipe', function () {
    skipTestUnless(this, hasHelper(), 'the native helper is not built')
    const script = '"$@" | head -n 1; echo "${PIPESTATUS[0]}"'
    const words = [process.execPath, INTERCEPTOR, 'run', '--', 'yes']
    const {stdout} = spawnSync('bash', ['-c', script, 'bash', ...words], {encoding: 'utf8', cwd: work, timeout: 20_000})
    // As that of yes(1) itself: SIGPIPE.
    assert.equal(stdout, 'y\n141\n')
  })
})
