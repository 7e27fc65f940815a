// Containers that want to forge, flood or lose the log: every decision stays one line, and none is missing.

import assert from 'node:assert/strict'
import {spawn} from 'node:child_process'
import type {ChildProcessByStdio} from 'node:child_process'
import {once} from 'node:events'
import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import type {Readable} from 'node:stream'
import {setTimeout as sleep} from 'node:timers/promises'

import {INTERCEPTOR, interceptorIn, succeed} from '../helpers/program.js'
import {skipUnlessPrivileged, skipUnlessPrograms} from '../helpers/skip.js'
import {temporaryDirectories} from '../helpers/temporary.js'

type Record = Readonly<globalThis.Record<string, unknown>>

/** Names for threads: 15 bytes at most. */
const COMMS = [
  'plain',
  'two\nlines',
  'quote"back\\',
  '\u001b[2J\u0007\u009b',
  '\r\t\u007f',
  '\u2028\u202e\u{e0001}',
  '{"v":1}',
  'bad \xff\xed\xa0\x80',
] as const
const PATHS = [
  Buffer.from('plain'),
  Buffer.from('x) = 0  emulated: forged\ninterceptor: [1 x] mknodat('),
  Buffer.from('{"v":1,"seq":99}\n{"v":1,"event":"exit"}\r\n'),
  Buffer.from('"\\\u001b]0;title\u0007\u202e\u2028\ufeff'),
  Buffer.from(Array.from({length: 255}, (_, index) => index + 1)),
  Buffer.from('\xff\xfe \xed\xa0\x80 \xf4\x90\x80\x80', 'latin1'),
  Buffer.alloc(4095, 'x'),
  Buffer.alloc(4095, 1),
  Buffer.alloc(4095, 0xff),
]

/** The last of COMMS is no UTF-8, and is given as it is. */
const commBytes = COMMS.map((comm) => Buffer.from(comm, comm.startsWith('bad') ? 'latin1' : 'utf8'))

const literal = (list: readonly Buffer[]): string =>
  `[${list.map((bytes) => `bytes.fromhex('${bytes.toString('hex')}')`).join(', ')}]`

const PRELUDE = `
import ctypes, os, stat, sys
prctl = ctypes.CDLL(None).prctl
def refused(path):
    try: os.mknod(path, stat.S_IFBLK | 0o600, os.makedev(8, 0))
    except OSError: return
    raise SystemExit('not refused')
`
const FORGE = `${PRELUDE}
for comm in ${literal(commBytes)}:
    prctl(15, comm, 0, 0, 0)
    for path in ${literal(PATHS)}: refused(path)
`
const PROCESSES = 8
const CALLS = 500
const FLOOD = `${PRELUDE}
for process in range(${PROCESSES}):
    if os.fork() == 0:
        for call in range(${CALLS}): refused(b'./' * 1900 + b'\\xff' * 200)
        os._exit(0)
for process in range(${PROCESSES}):
    if os.wait()[1] != 0: sys.exit(1)
`

// Everything that moves a cursor, ends a line, or hides or reorders text.
// eslint-disable-next-line no-control-regex -- controls are what is looked for
const HARMFUL = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]/u

describe('a container that is hostile to the log', function () {
  this.timeout(60_000)
  skipUnlessPrivileged()
  skipUnlessPrograms('python3')
  const temporary = temporaryDirectories()
  let directory = ''

  before(() => {
    directory = temporary()
  })

  const linesOf = (log: string): string[] => {
    assert.ok(log.endsWith('\n'))
    return log.slice(0, -1).split('\n')
  }

  const decisionsOf = (log: string): Record[] => {
    const records = linesOf(log).map((line) => JSON.parse(line) as Record)
    const times = records.map(({time}) => String(time))
    assert.equal(records[0]?.['event'], 'start')
    assert.ok(times.every((time) => time >= times[0]!))
    return records.filter(({event}) => event === undefined)
  }

  const numbered = (decisions: readonly Record[], count: number): void =>
    assert.deepEqual(
      decisions.map(({seq}) => seq),
      Array.from({length: count}, (_, index) => index + 1),
    )

  it('can forge no line and hide none, in JSON', () => {
    const flags = ['--mknod', '--log-format', 'json', '--log-file', 'json']
    const ended = interceptorIn({cwd: directory}, 'run', ...flags, 'python3', '-c', FORGE)
    assert.equal(ended.status, 0, ended.stderr)
    const log = readFileSync(join(directory, 'json'), 'utf8')
    for (const line of linesOf(log)) assert.doesNotMatch(line, HARMFUL)
    const decisions = decisionsOf(log)
    numbered(decisions, COMMS.length * PATHS.length)
    // What is no UTF-8 in the name of a thread becomes U+FFFD.
    const expected = commBytes.flatMap((comm) => PATHS.map((path) => [comm.toString(), path.toString('hex')]))
    const found = decisions.map(({args, comm}) => {
      const {path} = args as {readonly path: string | {readonly base64: string}}
      const bytes = typeof path === 'string' ? Buffer.from(path) : Buffer.from(path.base64, 'base64')
      return [comm, bytes.toString('hex')]
    })
    assert.deepEqual(found, expected)
  })

  it('can forge no line and hide none, in text', () => {
    const ended = interceptorIn({cwd: directory}, 'run', '--mknod', '--log-file', 'text', 'python3', '-c', FORGE)
    assert.equal(ended.status, 0, ended.stderr)
    const lines = linesOf(readFileSync(join(directory, 'text'), 'utf8'))
    assert.equal(lines.length, COMMS.length * PATHS.length)
    for (const line of lines) {
      assert.match(
        line,
        /^interceptor: \[\d+ .*\] mknodat\(AT_FDCWD, ".*S_IFBLK\|0600, makedev\(8, 0\)\) = -1 (?:EPERM {2}refused: |E[A-Z]+ {2}failed )/,
      )
      assert.doesNotMatch(line, HARMFUL)
      assert.ok(line.length < 2000)
    }
  })

  const flood = (...flags: string[]): ChildProcessByStdio<null, null, Readable> => {
    const words = ['run', '--mknod', '--log-format', 'json', ...flags, 'python3', '-c', FLOOD]
    return spawn(process.execPath, [INTERCEPTOR, ...words], {cwd: directory, stdio: ['ignore', 'ignore', 'pipe']})
  }

  it('is slowed down by a log that is read slowly, and fills no memory', async () => {
    const child = flood()
    const ended = once(child, 'exit')
    const pieces: Buffer[] = []
    await once(child.stderr, 'readable')
    // The flood is far ahead of its log by now, or waits for it.
    await sleep(2000)
    const status = readFileSync(`/proc/${child.pid}/status`, 'latin1')
    for await (const piece of child.stderr) {
      pieces.push(piece as Buffer)
      if (pieces.length < 50) await sleep(10)
    }
    assert.deepEqual(await ended, [0, null])
    const log = Buffer.concat(pieces).toString()
    numbered(decisionsOf(log), PROCESSES * CALLS)
    assert.match(linesOf(log).at(-1)!, /"event":"exit".*"refused":4000,/)
    const peakKb = Number(/VmHWM:\s+(\d+)/.exec(status)?.[1])
    assert.ok(peakKb < 200_000, `${peakKb} KiB`)
  })

  it('ends with its log when nobody reads that any more', async () => {
    const child = flood()
    const ended = once(child, 'exit')
    await once(child.stderr, 'data')
    child.stderr.destroy()
    assert.deepEqual(await ended, [125, null])
  })

  it('ends with its log when the disk is full, and all that was written is whole', async () => {
    succeed({}, 'mount', '-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', directory)
    try {
      const child = flood('--log-file', 'log')
      let told = ''
      child.stderr.on('data', (text: Buffer) => (told += text.toString()))
      assert.deepEqual(await once(child, 'close'), [125, null])
      assert.match(told, /^interceptor: cannot write the log to .*log: .*(ENOSPC|[Nn]o space)/m)
      const log = readFileSync(join(directory, 'log'), 'utf8')
      const decisions = decisionsOf(log.slice(0, log.lastIndexOf('\n') + 1))
      assert.ok(decisions.length > 10)
      numbered(decisions, decisions.length)
    } finally {
      succeed({}, 'umount', directory)
    }
  })

  it('leaves every decision counted where none is shown', () => {
    const flags = ['--mknod', '--trace', 'none', '--log-format', 'json', '--log-file', 'none', '--quiet']
    const ended = interceptorIn({cwd: directory}, 'run', ...flags, 'python3', '-c', FLOOD)
    assert.deepEqual([ended.status, ended.stderr], [0, ''])
    const lines = linesOf(readFileSync(join(directory, 'none'), 'utf8'))
    assert.equal(lines.length, 2)
    const {counts} = JSON.parse(lines[1]!) as Record
    assert.deepEqual(counts, {emulated: 0, refused: PROCESSES * CALLS, failed: 0, continued: 0, quiet: 0})
  })
})
