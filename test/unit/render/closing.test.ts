import assert from 'node:assert/strict'
import {execFileSync} from 'node:child_process'

import fc from 'fast-check'

import type {Decision} from '../../../src/intercept/decision.js'
import type {ClosingInput} from '../../../src/render/closing.js'
import {closingLines, flagOfHint, shellQuote} from '../../../src/render/closing.js'
import {decision, refused, timeMs, vocabulary} from '../../helpers/decisions.js'

function closing(changes: Partial<ClosingInput>): string {
  return closingLines({
    end: {kind: 'exited', status: 1},
    refused: [decision(refused)],
    timeMs: timeMs + 1000,
    words: ['run', '--mknod', '--', 'sh', '-c', "it's"].map((word) => Buffer.from(word)),
    vocabulary,
    ...changes,
  })
}

function call(changes: Partial<Decision>): Decision {
  return decision({...refused, ...changes})
}

describe('closingLines', () => {
  it('names the refused call and the command line that would allow it', () => {
    assert.equal(
      closing({}),
      'interceptor: the command failed with status 1 after mknodat was refused (EPERM): block 8:0 is not allowlisted\n' +
        "hint: to allow it: interceptor run --mknod-allow b:8:0 --mknod -- sh -c 'it'\\''s'\n",
    )
  })

  it('says nothing where the command succeeded or nothing was refused', () => {
    assert.equal(closing({end: {kind: 'exited', status: 0}}), '')
    assert.equal(closing({refused: []}), '')
  })

  it('names the signal', () => {
    assert.match(
      closing({end: {kind: 'signalled', signal: 9}}),
      /^interceptor: the command was killed by SIGKILL after /,
    )
  })

  it('prefers what was refused in the last two seconds, and says each thing once', () => {
    const old = call({timeMs: timeMs - 5000, reason: 'old', hint: '--old would allow it'})
    const text = closing({
      refused: [old, call({}), call({}), call({syscall: 'bpf', reason: 'r', hint: '--bpf would allow it'})],
    })
    assert.equal(
      text,
      'interceptor: the command failed with status 1 after mknodat was refused (EPERM): block 8:0 is not allowlisted; ' +
        "bpf was refused (EPERM): r\nhint: to allow it: interceptor run --mknod-allow b:8:0 --bpf --mknod -- sh -c 'it'\\''s'\n",
    )
    assert.match(closing({refused: [old]}), /old\nhint: to allow it: interceptor run --old --mknod/)
  })

  it('gives no command line where no flag would help', () => {
    assert.equal(
      closing({refused: [call({hint: 'mount it yourself'})]}),
      'interceptor: the command failed with status 1 after mknodat was refused (EPERM): block 8:0 is not allowlisted\n',
    )
  })

  it('escapes what the container wrote', () => {
    const text = closing({
      refused: [call({reason: '\u001b[2J\n', hint: '--setxattr-allow a\n$(x)\u001b would allow it'})],
    })
    assert.match(
      text,
      /: \\x1b\[2J\\n\nhint: to allow it: interceptor run --setxattr-allow \$'a\\x0a\$\(x\)\\x1b' --mknod/,
    )
  })
})

describe('flagOfHint', () => {
  const rows: readonly [string, readonly string[] | undefined][] = [
    ['--mknod-allow b:8:0 would allow it', ['--mknod-allow', 'b:8:0']],
    ['--sysinfo would allow it', ['--sysinfo']],
    ['--mount-source=/a b would allow it', ['--mount-source', '/a b']],
    ['use --mknod', undefined],
    [`--x ${'y'.repeat(300)} would allow it`, undefined],
  ]
  for (const [hint, expected] of rows) {
    it(`reads "${hint.slice(0, 40)}"`, () => {
      assert.deepEqual(flagOfHint(hint), expected)
    })
  }
})

describe('shellQuote', () => {
  it('gives words that bash reads back byte for byte', () => {
    const words = [
      ...['', 'plain', "it's", '$(x) `y` "z" \\ !', 'ü', '\u202e', '-n', '~', 'a\u0001b', "'\n\\"].map((word) =>
        Buffer.from(word),
      ),
      Buffer.of(0xff, 0x61, 0x31),
      ...fc.sample(fc.uint8Array({min: 1, maxLength: 12}), {numRuns: 100, seed: 1}).map((bytes) => Buffer.from(bytes)),
    ]
    const script = `printf '%s\\0' ${words.map(shellQuote).join(' ')}`
    const out = execFileSync('bash', ['--norc', '-c', script], {env: {LC_ALL: 'C'}})
    assert.deepEqual(out, Buffer.concat(words.flatMap((word) => [word, Buffer.of(0)])))
  })
})
