import assert from 'node:assert/strict'
import {readFileSync} from 'node:fs'

import {Ajv2020} from 'ajv/dist/2020.js'

import {decisionLine, exitRecord, jsonLine, noteRecord, signalName, startRecord} from '../../../src/render/json.js'
import {decision, refused, start, timeMs, vocabulary} from '../../helpers/decisions.js'

const schemaFile = new URL('../../../schemas/decision-log.schema.json', import.meta.url)
const isValid = new Ajv2020({allErrors: true}).compile(JSON.parse(readFileSync(schemaFile, 'utf8')) as object)

function assertValid(record: unknown): void {
  assert.ok(isValid(JSON.parse(JSON.stringify(record))), JSON.stringify(isValid.errors))
}

const counts = {emulated: 1, refused: 2, failed: 0, continued: 3, quiet: 0}

/** Parsed again. */
function decisionRecord(...given: Parameters<typeof decisionLine>): Record<string, unknown> {
  return JSON.parse(decisionLine(...given)) as Record<string, unknown>
}

describe('decisionLine', () => {
  it('has every member of the format', () => {
    assert.deepEqual(decisionRecord(decision({latencyUs: 23.14}), 1, vocabulary), {
      v: 1,
      seq: 1,
      time: '2026-01-02T03:04:05.678Z',
      pid: 4123,
      tid: 4123,
      host_pid: 70_123,
      uid: 0,
      gid: 0,
      comm: 'mknod',
      arch: 'x86_64',
      syscall: 'mknodat',
      args: {dirfd: -100, pathname: 'dev/null', mode: 0o020666, dev: {major: 1, minor: 3}},
      verdict: 'emulated',
      strategy: 'node',
      result: 0,
      errno: null,
      reason: '/dev/null is allowlisted',
      hint: null,
      latency_us: 23.1,
    })
  })

  it('gives bytes that are no UTF-8 as base64', () => {
    const values = {dirfd: 3, pathname: Buffer.of(0x61, 0xff), mode: 0, dev: 0}
    assert.deepEqual(decisionRecord(decision({values}), 1, vocabulary)['args'], {
      dirfd: 3,
      pathname: {base64: 'Yf8='},
      mode: 0,
      dev: {major: 0, minor: 0},
    })
  })

  it('gives the registers of what could not be decoded', () => {
    const record = decisionRecord(decision({values: undefined, registers: [1n, 0xffff_ffff_ffff_ff9cn]}), 1, vocabulary)
    assert.deepEqual([record['args'], record['registers']], [null, ['0x1', '0xffffffffffffff9c']])
    assertValid(record)
  })

  it('gives -1 and the name of an errno', () => {
    const {errno, hint, result, strategy, verdict} = decisionRecord(decision(refused), 2, vocabulary)
    assert.deepEqual(
      {errno, hint, result, strategy, verdict},
      {errno: 'EPERM', hint: '--mknod-allow b:8:0 would allow it', result: -1, strategy: null, verdict: 'refused'},
    )
  })
})

describe('the published schema', () => {
  it('accepts every kind of record', () => {
    assertValid(startRecord(start, timeMs))
    assertValid(decisionRecord(decision(), 1, vocabulary))
    assertValid(decisionRecord(decision(refused), 2, vocabulary))
    assertValid(noteRecord('x', timeMs))
    assertValid(exitRecord({kind: 'exited', status: 3}, counts, timeMs))
    assertValid(exitRecord({kind: 'signalled', signal: 9}, counts, timeMs))
  })

  it('rejects what is none', () => {
    const good = decisionRecord(decision(), 1, vocabulary)
    for (const wrong of [{}, {...good, verdict: 'allowed'}, {...good, seq: 0}, {v: 1, event: 'end'}]) {
      assert.equal(isValid(wrong), false)
    }
  })
})

describe('startRecord', () => {
  it('tells the command as bytes and the policy as it is', () => {
    const record = startRecord(start, timeMs)
    assert.deepEqual(record['command'], ['echo', {base64: '/w=='}])
    assert.deepEqual(record['policy'], {mknod: {devices: [{type: 'c', major: 1, minor: 3}]}, sysinfo: {}})
  })
})

describe('exitRecord', () => {
  it('tells a status or a signal', () => {
    const {time: _, ...status} = exitRecord({kind: 'exited', status: 0}, counts, timeMs)
    assert.deepEqual(status, {v: 1, event: 'exit', status: 0, signal: null, counts})
    const {signal} = exitRecord({kind: 'signalled', signal: 9}, counts, timeMs)
    assert.equal(signal, 'SIGKILL')
  })
})

describe('signalName', () => {
  it('knows real-time signals and numbers without a name', () => {
    assert.deepEqual([6, 15, 34, 35, 99].map(signalName), ['SIGABRT', 'SIGTERM', 'SIGRTMIN+0', 'SIGRTMIN+1', 'SIG99'])
  })
})

describe('jsonLine', () => {
  it('is one line and keeps its meaning', () => {
    const text = 'a\n\u001b\u2028\u009f\u{e0001}'
    const line = jsonLine({text})
    assert.equal(line, '{"text":"a\\n\\u001b\\u2028\\u009f\\udb40\\udc01"}\n')
    assert.deepEqual(JSON.parse(line), {text})
  })
})
