import assert from 'node:assert/strict'
import {mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'

import type {OutputOptions, RunEnd} from '../../../src/container/run-options.js'
import type {Decision} from '../../../src/intercept/decision.js'
import {openReport, RunReport} from '../../../src/render/report.js'
import {Sink} from '../../../src/render/sink.js'
import {plainStyle} from '../../../src/render/style.js'
import {decision, refused, start, timeMs, vocabulary} from '../../helpers/decisions.js'
import {makeFifo} from '../../helpers/fifo.js'

const plain: OutputOptions = {
  trace: 'all',
  logFile: undefined,
  logFormat: 'text',
  summary: false,
  quiet: false,
  showSecrets: false,
  manifest: undefined,
  failOnRefused: false,
}
const words = ['run', 'make'].map((word) => Buffer.from(word))
const success: RunEnd = {kind: 'exited', status: 0}
const lines = {
  emulated:
    'interceptor: [4123 mknod] mknodat(AT_FDCWD, "dev/null", S_IFCHR|0666, makedev(1, 3)) = 0  emulated (node, 23 us): /dev/null is allowlisted\n',
  refused:
    'interceptor: [4130 mknod] mknodat(AT_FDCWD, "sda", S_IFBLK|0660, makedev(8, 0)) = -1 EPERM  refused: block 8:0 is not allowlisted; --mknod-allow b:8:0 would allow it\n',
}

const streams = {isRaw: () => false, isTerminal: () => false, isReady: () => true}

/** A run with standard error in memory: what is written there, and how the run ends. */
async function told(output: Partial<OutputOptions>, decisions: readonly Decision[], end: RunEnd = success) {
  let text = ''
  const terminal = new Sink({
    fd: 2,
    name: 'standard error',
    write: async (_, bytes) => {
      text += Buffer.from(bytes).toString()
      return bytes.length
    },
  })
  let clock = timeMs
  const now = (): number => (clock += 10)
  const options = {output: {...plain, ...output}, words, vocabulary, ...streams, now}
  const report = new RunReport(options, {
    terminal,
    log: terminal,
    logFile: undefined,
    manifest: undefined,
    style: plainStyle,
  })
  if (output.logFormat === 'json') await report.note('an early note')
  await report.start(start)
  await report.batch({decisions, silent: {chmod: 2}})
  await report.note('a note')
  const ended = await report.end(end)
  return {text, ended}
}

describe('RunReport', () => {
  const both = [decision(), decision(refused)]

  it('tells every decision', async () => {
    assert.deepEqual(await told({}, both), {
      text: `${lines.emulated}${lines.refused}interceptor: a note\n`,
      ended: success,
    })
  })

  it('tells what was refused or failed only', async () => {
    const {text} = await told({trace: 'refused'}, both)
    assert.equal(text, `${lines.refused}interceptor: a note\n`)
  })

  it('tells nothing with --trace none, and nothing at all with --quiet', async () => {
    assert.equal((await told({trace: 'none'}, both)).text, 'interceptor: a note\n')
    assert.equal((await told({quiet: true, summary: true}, both, {kind: 'exited', status: 1})).text, '')
  })

  it('ends with a table and the last words', async () => {
    const {text} = await told({trace: 'none', summary: true}, both, {kind: 'exited', status: 2})
    assert.equal(
      text,
      [
        'interceptor: a note',
        'calls  emulated  refused  failed  continued  quiet  errors  mean us  max us  syscall',
        '    2         0        0       0          0      2       0                   chmod',
        '    2         1        1       0          0      0       1     23.1    23.1  mknodat',
        '    4         1        1       0          0      2       1     23.1    23.1  total',
        'interceptor: the command failed with status 2 after mknodat was refused (EPERM): block 8:0 is not allowlisted',
        'hint: to allow it: interceptor run --mknod-allow b:8:0 make',
        '',
      ].join('\n'),
    )
  })

  it('exits 3 for a refusal, only where it was asked for and the command succeeded', async () => {
    assert.deepEqual((await told({failOnRefused: true}, both)).ended, {kind: 'exited', status: 3})
    assert.deepEqual((await told({failOnRefused: true}, [decision()])).ended, success)
    assert.deepEqual((await told({}, both)).ended, success)
    const signalled: RunEnd = {kind: 'signalled', signal: 15}
    assert.deepEqual((await told({failOnRefused: true}, both, signalled)).ended, signalled)
  })

  it('keeps standard error a stream of JSON records, the exit last', async () => {
    const {text} = await told({logFormat: 'json', summary: true}, both, {kind: 'exited', status: 1})
    const records = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    assert.deepEqual(
      records.map(({event, seq}) => event ?? seq),
      ['start', 'note', 1, 2, 'note', 'note', 'note', 'exit'],
    )
    const times = records.filter(({event}) => event !== undefined).map(({time}) => String(time))
    assert.deepEqual(times, times.toSorted())
    assert.deepEqual(records.at(-1)?.['counts'], {emulated: 1, refused: 1, failed: 0, continued: 0, quiet: 2})
  })

  it('numbers what --trace leaves out', async () => {
    const {text} = await told({logFormat: 'json', trace: 'refused'}, both)
    assert.match(text, /^\{"v":1,"seq":2,/m)
    assert.doesNotMatch(text, /"seq":1,/)
  })

  it('fails when the log cannot be written', async () => {
    const output = {...plain, logFile: Buffer.from('/dev/full')}
    const report = await openReport({output, words, vocabulary, ...streams})
    await assert.rejects(report.batch({decisions: both, silent: {}}), {
      name: 'LaunchError',
      message: 'cannot write the log to /dev/full',
    })
    await assert.rejects(report.end(success), {name: 'LaunchError'})
  })

  it('passes over a reader that went away at the end', async () => {
    const closed = new Sink({
      fd: 2,
      name: 'standard error',
      write: () => Promise.reject(Object.assign(new Error('write EPIPE'), {code: 'EPIPE'})),
    })
    const options = {output: {...plain, summary: true}, words, vocabulary, ...streams}
    const report = new RunReport(options, {
      terminal: closed,
      log: closed,
      logFile: undefined,
      manifest: undefined,
      style: plainStyle,
    })
    assert.deepEqual(await report.end(success), success)
  })
})

describe('openReport', () => {
  let directory = ''
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'interceptor-report-'))
  })
  after(() => {
    rmSync(directory, {recursive: true})
  })

  it('writes a file and a manifest, also with --quiet', async () => {
    const logFile = Buffer.from(join(directory, 'log'))
    const manifest = Buffer.from(join(directory, 'manifest.json'))
    const output = {...plain, logFile, manifest, quiet: true}
    const report = await openReport({output, words, vocabulary, ...streams})
    const created = {kind: 'node', path: Buffer.from('/dev/null'), strategy: 'node', major: 1} as const
    await report.batch({decisions: [decision({created}), decision(refused)], silent: {}})
    await report.end({kind: 'exited', status: 1})
    assert.equal(readFileSync(logFile, 'utf8'), lines.emulated + lines.refused)
    assert.deepEqual(JSON.parse(readFileSync(manifest, 'utf8')), {
      v: 1,
      entries: [{kind: 'node', path: '/dev/null', strategy: 'node', major: 1}],
    })
  })

  it('refuses a log that cannot be opened', async () => {
    const output = {...plain, logFile: Buffer.from(join(directory, 'none', 'log'))}
    await assert.rejects(openReport({output, words, vocabulary, ...streams}), {
      message: `cannot write ${join(directory, 'none', 'log')}: its directory is not there`,
    })
  })

  it('does not wait for somebody to read a FIFO', async () => {
    const fifo = join(directory, 'fifo')
    makeFifo(fifo)
    const output = {...plain, logFile: Buffer.from(fifo)}
    await assert.rejects(openReport({output, words, vocabulary, ...streams}), {
      name: 'LaunchError',
      hints: ['nobody reads from it: start the reader first, or name a file'],
    })
  })

  it('follows no link that a container may have left', async () => {
    const victim = join(directory, 'victim')
    writeFileSync(victim, 'safe')
    symlinkSync(victim, join(directory, 'link'))
    const output = {...plain, logFile: Buffer.from(join(directory, 'link'))}
    await assert.rejects(openReport({output, words, vocabulary, ...streams}), {
      name: 'UsageError',
      hints: [`name the place that it leads to, if you trust it: readlink -f ${join(directory, 'link')}`],
    })
    assert.equal(readFileSync(victim, 'utf8'), 'safe')
  })
})
