import assert from 'node:assert/strict'
import {closeSync, openSync, readFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'

import {Sink} from '../../../src/render/sink.js'

function failure(code: string): Error {
  return Object.assign(new Error(`${code}: write`), {code})
}

/** A sink whose writes are recorded; each answer is how many bytes are taken, or an error. */
function recorded(answers: (Error | number)[], isRaw = false) {
  const taken: string[] = []
  const sink = new Sink({
    fd: 9,
    name: 'x.log',
    isRaw: () => isRaw,
    write: async (_, bytes) => {
      const answer = answers.shift() ?? bytes.length
      if (answer instanceof Error) throw answer
      taken.push(Buffer.from(bytes.subarray(0, answer)).toString())
      return answer
    },
  })
  return {sink, taken}
}

describe('Sink', () => {
  it('writes the lines of one turn together and in order', async () => {
    const {sink, taken} = recorded([])
    await Promise.all([sink.write('a\n'), sink.write('b\n'), sink.write('c\n')])
    await sink.write('d\n')
    assert.deepEqual(taken, ['a\nb\nc\n', 'd\n'])
  })

  it('has one write in flight', async () => {
    let inFlight = 0
    const sink = new Sink({
      fd: 9,
      name: 'x',
      write: async (_, bytes) => {
        inFlight += 1
        assert.equal(inFlight, 1)
        await new Promise((resolve) => setImmediate(resolve))
        inFlight -= 1
        return Math.min(bytes.length, 3)
      },
    })
    await Promise.all(Array.from({length: 50}, (_, index) => sink.write(`${index}\n`)))
  })

  it('finishes short writes and waits out EAGAIN', async () => {
    const {sink, taken} = recorded([2, failure('EAGAIN'), failure('EAGAIN'), 1])
    await sink.write('abcdef\n')
    assert.deepEqual(taken, ['ab', 'c', 'def\n'])
  })

  it('splits at lines when much is waiting', async () => {
    const {sink, taken} = recorded([])
    const line = `${'x'.repeat(40_000)}\n`
    await Promise.all([sink.write(line), sink.write(line), sink.write(line)])
    assert.deepEqual(taken, [line, line, line])
  })

  it('ends lines with CRLF while the terminal is raw', async () => {
    const {sink, taken} = recorded([], true)
    await sink.write('a\nb\n')
    assert.deepEqual(taken, ['a\r\nb\r\n'])
  })

  it('fails everything behind a write that failed', async () => {
    const {sink, taken} = recorded([failure('ENOSPC')])
    const expected = {name: 'LaunchError', message: 'cannot write the log to x.log'}
    const first = sink.write('a\n')
    const second = sink.write('b\n')
    await assert.rejects(first, expected)
    await assert.rejects(second, expected)
    await assert.rejects(sink.write('c\n'), expected)
    await assert.rejects(sink.flush(), expected)
    assert.deepEqual(taken, [])
  })

  it('flushes what is waiting', async () => {
    const {sink, taken} = recorded([1, failure('EAGAIN')])
    void sink.write('abc\n')
    await sink.flush()
    assert.equal(taken.join(''), 'abc\n')
  })

  it('writes to a real descriptor, and tells of a full device', async () => {
    const name = join(tmpdir(), `interceptor-sink-${process.pid}`)
    const fd = openSync(name, 'w')
    const lines = Array.from({length: 5000}, (_, index) => `line ${index}\n`)
    const sink = new Sink({fd, name})
    await Promise.all(lines.map((line) => sink.write(line)))
    closeSync(fd)
    assert.equal(readFileSync(name, 'utf8'), lines.join(''))

    const full = openSync('/dev/full', 'w')
    await assert.rejects(new Sink({fd: full, name: '/dev/full'}).write('x\n'), {name: 'LaunchError'})
    closeSync(full)
  })
})
