import assert from 'node:assert/strict'

import type {Decision} from '../../../src/intercept/decision.js'
import type {Hint} from '../../../src/intercept/hint.js'
import type {ClosingInput} from '../../../src/render/closing.js'
import {closingLines} from '../../../src/render/closing.js'
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
    const old = call({timeMs: timeMs - 5000, reason: 'old', hint: {flag: '--old'}})
    const text = closing({
      refused: [old, call({}), call({}), call({syscall: 'bpf', reason: 'r', hint: {flag: '--bpf'}})],
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
      closing({refused: [call({hint: {advice: 'mount it yourself'}})]}),
      'interceptor: the command failed with status 1 after mknodat was refused (EPERM): block 8:0 is not allowlisted\n',
    )
  })

  it('quotes a value with blanks, and takes no value for a flag', () => {
    const of = (...hints: readonly Hint[]) =>
      closing({refused: hints.map((hint, index) => call({hint, reason: String(index)}))})
    assert.match(of({flag: '--mount-source', value: '/a b'}), /run --mount-source '\/a b' --mknod/)
    assert.match(of({flag: '--bpf'}, {flag: '--finit-module', value: '--x'}), /run --bpf --finit-module --x --mknod/)
    assert.doesNotMatch(of({flag: '--mount-source', value: 'y'.repeat(300)}), /hint/)
  })

  it('escapes what the container wrote', () => {
    const text = closing({
      refused: [call({reason: '\u001b[2J\n', hint: {flag: '--setxattr-allow', value: 'a\n$(x)\u001b'}})],
    })
    assert.match(
      text,
      /: \\x1b\[2J\\n\nhint: to allow it: interceptor run --setxattr-allow \$'a\\x0a\$\(x\)\\x1b' --mknod/,
    )
  })
})
