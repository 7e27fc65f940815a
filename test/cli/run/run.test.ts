import assert from 'node:assert/strict'
import {spawnSync} from 'node:child_process'
import {mkdirSync, readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {Ajv2020} from 'ajv/dist/2020.js'

import {hasProgram, INTERCEPTOR, interceptorIn, programIn, PROJECT} from '../../helpers/program.js'
import {skipTestUnless, skipUnlessPrivileged} from '../../helpers/skip.js'
import {temporaryDirectories} from '../../helpers/temporary.js'

/** Lines on standard error that are about this machine and not about the run. */
const machine = /^interceptor: other users can reach .*\n/gm

describe('interceptor run', () => {
  skipUnlessPrivileged()
  const directory = temporaryDirectories()
  let cwd = ''
  before(() => {
    cwd = directory()
  })

  function run(...words: string[]) {
    const {stderr, ...rest} = interceptorIn(
      {cwd, env: {PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'}},
      'run',
      ...words,
    )
    return {...rest, stderr: stderr.replace(machine, '')}
  }

  const ends: readonly [string, readonly string[], number | null, string | null, string][] = [
    ['success', ['true'], 0, null, ''],
    ["the command's status", ['sh', '-c', 'exit 42'], 42, null, ''],
    ["the command's 125", ['sh', '-c', 'exit 125'], 125, null, ''],
    [
      'a command that is not there',
      ['no-such-program'],
      127,
      null,
      'interceptor: cannot find the command no-such-program',
    ],
    ['a file that is no program', ['/etc/passwd'], 126, null, 'interceptor: cannot execute /etc/passwd: '],
  ]
  for (const [title, words, status, signal, stderr] of ends) {
    it(`ends with ${title}`, () => {
      const ended = run(...words)
      assert.deepEqual(
        {...ended, stderr: ended.stderr.slice(0, stderr.length || undefined)},
        {status, signal, stdout: '', stderr},
      )
    })
  }

  it('ends well where the command is faster than the supervisor', () => {
    // On a busy machine the container may be gone before a worker has looked at it.
    const script =
      'for i in {1..8}; do "$@" & all+=($!); done; for one in "${all[@]}"; do wait "$one" || echo "$?"; done'
    const words = [process.execPath, INTERCEPTOR, 'run', '-q', '--mknod', '--', 'true']
    const {stdout, stderr} = spawnSync('bash', ['-c', script, 'bash', ...words], {cwd, encoding: 'utf8'})
    assert.deepEqual([stdout, stderr], ['', ''])
  })

  for (const signal of ['SIGTERM', 'SIGKILL', 'SIGINT', 'SIGPIPE', 'SIGSEGV', 'SIGRTMIN'] as const) {
    it(`dies of ${signal} as the command did, and leaves no core`, () => {
      const script = '"$0" "$1" run sh -c "ulimit -c 0; kill -$2 \\$\\$" & wait $!; echo $?; ls'
      const bash = spawnSync(
        'bash',
        ['-c', `ulimit -c unlimited; ${script}`, process.execPath, INTERCEPTOR, signal.slice(3)],
        {
          cwd,
          encoding: 'utf8',
        },
      )
      const number = {SIGTERM: 15, SIGKILL: 9, SIGINT: 2, SIGPIPE: 13, SIGSEGV: 11, SIGRTMIN: 34}[signal]
      assert.equal(bash.stdout, `${128 + number}\n`, bash.stderr)
    })
  }

  it('ends well with wrong usage and with help, where its worker has begun already', () => {
    // koffi aborts the process that ends while a thread loads it.
    for (let round = 0; round < 8; round++) {
      assert.equal(interceptorIn({cwd}, 'run', '--mknod', '--handler', 'none.mjs', 'true').status, 125)
      assert.equal(interceptorIn({cwd}, 'run', '--mknod', '--help').status, 0)
    }
  })

  it('passes bytes that are no UTF-8 in words and in the environment', () => {
    const script = `A=$(printf 'e\\377') exec "$0" "$1" run --env "$(printf 'B=\\376')" sh -c 'printf "%s,%s,%s" "$1" "$A" "$B"' x "$(printf 'a\\377')"`
    const {stdout, stderr} = spawnSync('sh', ['-c', script, process.execPath, INTERCEPTOR], {cwd})
    assert.equal(stdout.toString('latin1'), 'a\xff,e\xff,\xfe', stderr.toString())
  })

  it('leaves the words of the command alone', () => {
    assert.equal(run('echo', 'a', 'b', 'a', '--help', '--', '-q', 'a').stdout, 'a b a --help -- -q a\n')
  })

  it('tells decisions on standard error and nothing on standard output', () => {
    const {stdout, stderr, status} = run('--mknod', 'mknod', 'n1', 'c', '1', '3')
    assert.deepEqual([stdout, status], ['', 0])
    assert.match(
      stderr,
      /^interceptor: \[\d+ mknod\] mknodat\(AT_FDCWD, "n1", S_IFCHR\|0666, makedev\(1, 3\)\) = 0 {2}emulated \(\w+, [\d.]+ us\): \/dev\/null is allowlisted\n$/,
    )
  })

  it('says nothing with --quiet', () => {
    assert.deepEqual(run('-q', '--summary', '--mknod', 'mknod', 'n2', 'c', '1', '3').stderr, '')
  })

  it('says last which flag would have helped, and the flag does', () => {
    const failed = run('--mknod', '--', 'sh', '-c', 'mknod "$1" b 7 250', 'x', "it's")
    assert.equal(failed.status, 1)
    const hint = /^hint: to allow it: interceptor (run .*)\n$/m.exec(failed.stderr)?.[1]
    assert.equal(hint, `run --mknod-allow b:7:250 --mknod -- sh -c 'mknod "$1" b 7 250' x 'it'\\''s'`)
    const again = spawnSync('sh', ['-c', `"$0" "$1" ${hint}`, process.execPath, INTERCEPTOR], {cwd, encoding: 'utf8'})
    assert.equal(again.status, 0, again.stderr)
  })

  it('exits 3 with --fail-on refused where the command took the refusal lightly', () => {
    const script = 'mknod sda b 8 0 2>/dev/null || true'
    assert.equal(run('--mknod', '--fail-on', 'refused', 'sh', '-c', script).status, 3)
    assert.equal(run('--mknod', 'sh', '-c', script).status, 0)
  })

  it('files valid JSON records from start to exit, and a manifest', () => {
    const {stderr, status} = run(
      ...['--mknod', '--log-format', 'json', '--log-file', 'calls.json', '--manifest', 'made.json'],
      ...['sh', '-c', 'mknod n3 c 1 5; mknod sda b 8 0 2>/dev/null; exit 0'],
    )
    assert.deepEqual([status, stderr], [0, ''])
    const schema = JSON.parse(readFileSync(join(PROJECT, 'schemas', 'decision-log.schema.json'), 'utf8')) as object
    const isValid = new Ajv2020().compile(schema)
    const records = readFileSync(join(cwd, 'calls.json'), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    for (const record of records) assert.ok(isValid(record), JSON.stringify([record, isValid.errors]))
    assert.deepEqual(
      records.map(({event, verdict}) => event ?? verdict),
      ['start', 'emulated', 'refused', 'exit'],
    )
    const manifest = JSON.parse(readFileSync(join(cwd, 'made.json'), 'utf8')) as {
      entries: {path: string; minor: number}[]
    }
    assert.deepEqual(
      manifest.entries.map(({path, minor}) => [path, minor]),
      [[join(cwd, 'n3'), 5]],
    )
  })

  it('ends the run when the log cannot be written', () => {
    const ended = run('--mknod', '--log-file', '/dev/full', 'sh', '-c', 'mknod n4 c 1 3; sleep 20')
    assert.deepEqual([ended.status, ended.stdout], [125, ''])
    assert.match(ended.stderr, /^interceptor: cannot write the log to \/dev\/full: no space left on device/)
  })

  it('gives the command the limit of open files that Node raised for itself', () => {
    const line = `ulimit -Sn 777; ${INTERCEPTOR} run -q -- sh -c 'ulimit -Sn'; true`
    assert.equal(spawnSync('bash', ['-c', line], {cwd, encoding: 'utf8'}).stdout, '777\n')
  })

  it('leaves shared pipes blocking', () => {
    // A writer that shares standard output and error with the run, and would fail on EAGAIN.
    const script =
      '{ "$0" "$1" run --mknod sh -c "mknod n5 c 1 3; grep flags /proc/self/fdinfo/1 /proc/self/fdinfo/2 | cut -f 2"; } 2>err | cat'
    const {stdout} = spawnSync('bash', ['-c', script, process.execPath, INTERCEPTOR], {cwd, encoding: 'utf8'})
    const modes = stdout
      .trim()
      .split('\n')
      .map((flags) => parseInt(flags, 8) & 0o4000)
    assert.deepEqual(modes, [0, 0])
  })

  it('leaves standard input blocking where standard error is a terminal', function () {
    skipTestUnless(this, hasProgram('script'), 'script is not installed')
    // Colours import node:process, and that import alone makes what standard input is non-blocking.
    const inner = `(sleep 1; echo late) | ${process.execPath} ${INTERCEPTOR} run --mknod -- cat >late.txt`
    spawnSync('script', ['-qec', inner, '/dev/null'], {
      cwd,
      input: '',
      env: {PATH: process.env['PATH'], TERM: 'xterm'},
    })
    assert.equal(readFileSync(join(cwd, 'late.txt'), 'utf8'), 'late\n')
  })

  it('reads nothing of what the command is to read', () => {
    const {stdout} = spawnSync(
      'sh',
      ['-c', 'printf "a\\nb\\n" | { "$0" "$1" run head -n 0; cat; }', process.execPath, INTERCEPTOR],
      {
        cwd,
        encoding: 'utf8',
      },
    )
    assert.equal(stdout, 'a\nb\n')
  })

  it('ends lines with CRLF while the terminal is raw', function () {
    skipTestUnless(this, hasProgram('script'), 'script is not installed')
    const inner = `stty raw; ${process.execPath} ${INTERCEPTOR} run --mknod mknod n6 c 1 3; stty sane`
    const {stdout} = spawnSync('script', ['-qec', inner, '/dev/null'], {
      cwd,
      encoding: 'utf8',
      input: '',
      env: {...process.env, NO_COLOR: '1'},
    })
    assert.match(stdout, /emulated[^\n]*allowlisted\r\n/)
  })

  it('colours outcomes on a terminal, unless told not to', function () {
    skipTestUnless(this, hasProgram('script'), 'script is not installed')
    const inner = `${process.execPath} ${INTERCEPTOR} run --mknod mknod n7 c 1 3; rm -f n7`
    const shown = (env: Record<string, string>) =>
      spawnSync('script', ['-qec', inner, '/dev/null'], {
        cwd,
        encoding: 'utf8',
        input: '',
        env: {PATH: process.env['PATH'], TERM: 'xterm', ...env},
      }).stdout
    assert.ok(shown({}).includes('\u001b[32memulated\u001b[39m'))
    assert.ok(!shown({NO_COLOR: '1'}).includes('\u001b['))
  })

  it('says so where its current directory was removed', () => {
    const gone = join(cwd, 'gone')
    for (const words of ['run true', 'explain --mknod', 'check', 'trust file']) {
      mkdirSync(gone)
      const script = `rmdir "$PWD"; exec "$0" "$1" ${words}`
      const {status, stderr} = programIn({cwd: gone}, 'sh', '-c', script, process.execPath, INTERCEPTOR)
      assert.equal(status, words.startsWith('run') ? 125 : 2, words)
      assert.match(
        stderr,
        /^interceptor: cannot find the current directory: no such file or directory\nhint: change to [^\n]*\n$/mu,
      )
    }
  })

  it('shows directories read-only that it lets nobody write to', () => {
    for (const directory of ['/', '/usr', '/var/lib']) {
      const words = ['run', '--read-only', 'sh', '-c', 'pwd; ! touch "$PWD/interceptor-test" 2>/dev/null']
      const {status, stdout} = interceptorIn({cwd: directory}, ...words)
      assert.deepEqual([status, stdout], [0, `${directory}\n`])
    }
  })

  it('names the limit of memory that leaves no room for a container', function () {
    skipTestUnless(this, run('--memory', '64M', 'true').status === 0, 'memory cannot be limited here')
    const {status, stderr} = run('--memory', '1', 'true')
    assert.equal(status, 125)
    assert.equal(
      stderr,
      "interceptor: cannot go on: the container's init ended early (out of memory: raise --memory)\n",
    )
  })

  it('appends nothing to a log of an earlier run', () => {
    const log = join(cwd, 'log')
    writeFileSync(log, 'old\n')
    run('--mknod', '--log-file', 'log', 'mknod', 'n8', 'c', '1', '3')
    assert.match(readFileSync(log, 'utf8'), /^interceptor: [^\n]*\n$/)
  })
})
