import assert from 'node:assert/strict'
import {spawnSync} from 'node:child_process'

import {interceptor, INTERCEPTOR, programIn} from '../../helpers/program.js'

describe('interceptor', () => {
  it('shows its commands and its version', () => {
    const help = interceptor('--help')
    assert.deepEqual([help.status, help.stderr], [0, ''])
    assert.match(help.stdout, /^ {2}run +Run a command in a fresh unprivileged container\.$/m)
    assert.match(interceptor('--version').stdout, /^interceptor\/\d+\.\d+\.\d+ linux-/)
  })

  it('shows the same help in four ways', () => {
    const expected = interceptor('run', '--help').stdout
    assert.match(expected, /\$ interceptor run \[FLAGS\] \[--\] COMMAND \[ARG\.\.\.\]/)
    for (const words of [
      ['run', '-h'],
      ['help', 'run'],
      ['run', '--mknod', '--help'],
    ]) {
      assert.deepEqual(interceptor(...words), {status: 0, signal: null, stdout: expected, stderr: ''})
    }
  })

  const wrong: readonly [readonly string[], number, string][] = [
    [['rnu', 'ls'], 2, 'interceptor: unknown command rnu'],
    [['--mknod', 'run', 'ls'], 2, 'interceptor: flags come after the command, and --mknod comes before it'],
    [['run', '--mkond', 'ls'], 125, 'interceptor: unknown flag --mkond\nhint: did you mean --mknod?\n'],
    [
      ['run', '--trace', 'al', 'ls'],
      125,
      'interceptor: --trace takes all, refused or none, not "al"\nhint: did you mean --trace all?\n',
    ],
    [
      ['run', '--memory', '12X', 'ls'],
      125,
      'interceptor: --memory: "12X" is not a size\nhint: write it as 256M, 1.5G or 64MiB\n',
    ],
    [['run', '--mknod'], 125, 'interceptor: run needs a command\n'],
    [['run', '--name'], 125, 'interceptor: --name needs a value: NAME\n'],
    [['run', '--mknod-allow', 'sda', 'ls'], 125, "interceptor: cannot read device 'sda'"],
    [
      ['run', '--log-file', '/nonexistent/log', 'ls'],
      125,
      'interceptor: cannot write /nonexistent/log: its directory is not there\n',
    ],
    [
      ['run', '--manifest', '/nonexistent/m', 'ls'],
      125,
      'interceptor: cannot write /nonexistent/m: its directory is not there\n',
    ],
    [['run', '--nope\u001b[31m', 'ls'], 125, 'interceptor: unknown flag --nope\\x1b[31m\n'],
  ]
  for (const [words, status, text] of wrong) {
    it(`answers "${words.join(' ').replaceAll('\u001b', '^[')}" with ${status} and what is wrong`, () => {
      const ended = interceptor(...words)
      assert.equal(ended.stderr.slice(0, text.length), text)
      assert.deepEqual([ended.status, ended.stdout], [status, ''])
      assert.doesNotMatch(ended.stderr, /\n {4}at /)
    })
  }

  it('says that standard output cannot be written', () => {
    for (const words of ['explain', '--help', 'run --help', '--version']) {
      const line = `exec ${process.execPath} ${INTERCEPTOR} ${words} >/dev/full`
      const {status, stderr} = programIn({}, 'sh', '-c', line)
      assert.match(stderr, /^interceptor: cannot write to standard output: no space left on device\n$/u)
      assert.equal(status, 125)
    }
  })

  it('takes a closed pipe for success', () => {
    const script = '"$0" "$1" run --help | head -n 1; echo "${PIPESTATUS[0]}"'
    const {stdout, stderr} = spawnSync('bash', ['-c', script, process.execPath, INTERCEPTOR], {encoding: 'utf8'})
    assert.deepEqual([stdout, stderr], ['Run a command in a fresh unprivileged container.\n0\n', ''])
  })
})

describe('words that are no UTF-8', () => {
  it('are given back byte for byte in a real process', () => {
    const script =
      "import {wordsWithBytes, toBytes} from './src/cli/flags/bytes.ts'\n" +
      "process.stdout.write(wordsWithBytes(process.argv.slice(2)).map((w) => toBytes(w).toString('hex')).join(' '))"
    const shell = `exec "$0" --import=tsx --input-type=module -e "$1" x "$(printf 'a\\377')" ''`
    const {stdout, stderr} = programIn({}, 'sh', '-c', shell, process.execPath, script)
    assert.equal(stdout, '61ff ', stderr)
  })
})
