// strace's notation: one call, and whole files.

import assert from 'node:assert/strict'
import fc from 'fast-check'
import {StraceReader} from '../../../src/explain/strace-file.js'
import {NotationError, parseCall} from '../../../src/explain/strace-notation.js'
import type {Value} from '../../../src/explain/strace-notation.js'
import {quote} from '../../../src/intercept/caller/escape.js'

const number = (value: bigint | number): Value => ({kind: 'number', value: BigInt(value)})
const name = (text: string): Value => ({kind: 'name', name: text})
const string = (text: string, truncated = false): Value => ({
  kind: 'string',
  bytes: Buffer.from(text, 'latin1'),
  truncated,
})

describe('parseCall', () => {
  it('reads names, flags, octal numbers and makedev', () => {
    const call = parseCall('mknodat(AT_FDCWD, "/dev/sda", S_IFBLK|0660, makedev(8, 0x10)) = -1 EPERM (Not permitted)')
    assert.deepEqual(call, {
      name: 'mknodat',
      arguments: [
        name('AT_FDCWD'),
        string('/dev/sda'),
        {kind: 'binary', operator: '|', left: name('S_IFBLK'), right: number(0o660)},
        {kind: 'call', name: 'makedev', arguments: [number(8), number(16)]},
      ],
      result: {value: -1n, errno: 'EPERM'},
    })
  })

  it('reads what -y adds to descriptors', () => {
    const call = parseCall('openat(AT_FDCWD</root>, "x\\"y", O_RDONLY) = 3</dev/pts/0<char 136:0>>')
    assert.deepEqual(call.arguments, [name('AT_FDCWD'), string('x"y'), name('O_RDONLY')])
    const pipe = parseCall('f(5<socket:[123]>, 6<TCP:[1.2.3.4:5->6.7.8.9:10]>)')
    assert.deepEqual(pipe.arguments, [number(5), number(6)])
  })

  it('reads escapes in strings, and tells those that were cut', () => {
    const call = parseCall('f("a\\n\\t\\0\\101\\x7f\\\\\\"", "abc"...)')
    assert.deepEqual(call.arguments, [string('a\n\t\0A\x7f\\"'), string('abc', true)])
  })

  it('reads structs, arrays, comments and negative numbers', () => {
    const call = parseCall('f({size=56, sched_flags=0, ...}, [50], -1, 0x7ffe /* 3 vars */, NULL, [])')
    assert.deepEqual(call.arguments, [
      {
        kind: 'struct',
        fields: [
          {name: 'size', value: number(56)},
          {name: 'sched_flags', value: number(0)},
        ],
        complete: false,
      },
      {kind: 'array', items: [number(50)], complete: true},
      number(-1),
      number(0x7ffe),
      number(0),
      {kind: 'array', items: [], complete: true},
    ])
    assert.equal(call.result, undefined)
  })

  it('keeps what it does not understand as it is', () => {
    const call = parseCall('rt_sigprocmask(SIG_BLOCK, ~[RTMIN RT_1], [], 8) = 0')
    assert.equal(call.arguments.length, 4)
    const strange = parseCall('wait4(-1, [{WIFEXITED(s) && WEXITSTATUS(s) == 0}], 0, NULL) = 12')
    assert.deepEqual(strange.arguments[1], {kind: 'opaque', text: '[{WIFEXITED(s) && WEXITSTATUS(s) == 0}]'})
    assert.equal(strange.arguments.length, 4)
  })

  it('says where a call stops being one', () => {
    for (const [text, at] of [
      ['', 0],
      ['mknod', 5],
      ['mknod("x"', 9],
      ['mknod() rubbish', 8],
      ['(1)', 0],
    ] as const) {
      assert.throws(
        () => parseCall(text),
        (error) => error instanceof NotationError && error.at === at,
        text,
      )
    }
  })

  it('reads back every string that our own log writes', () => {
    fc.assert(
      fc.property(fc.uint8Array({maxLength: 40}), (bytes) => {
        const text = Buffer.from(quote(bytes)).toString('latin1')
        assert.deepEqual(parseCall(`f(${text})`).arguments, [string(Buffer.from(bytes).toString('latin1'))])
      }),
    )
  })

  it('never fails but with a NotationError', () => {
    const piece = fc.constantFrom(
      'f(',
      '"',
      '\\',
      '{',
      '}',
      '[',
      ']',
      ')',
      ',',
      'a=',
      '=>',
      '<',
      '>',
      '~',
      '-',
      '1',
      '|',
      '...',
      ' ',
    )
    fc.assert(
      fc.property(fc.array(piece, {maxLength: 30}), (pieces) => {
        try {
          parseCall(`f(${pieces.join('')}`)
        } catch (error) {
          assert.ok(error instanceof NotationError)
        }
      }),
    )
  })
})

describe('StraceReader', () => {
  const read = (text: string) => {
    const reader = new StraceReader('x86_64')
    const calls = text.split('\n').flatMap((line) => reader.read(line) ?? [])
    return {reader, calls: [...calls, ...reader.finish()]}
  }

  it('passes over what is no call', () => {
    const {calls, reader} = read(
      [
        'execve("/bin/true", ["true"], 0x7ffc8 /* 20 vars */) = 0',
        'strace: Process 12 attached',
        '[pid    12] --- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED} ---',
        '12    exit_group(0)                     = ?',
        '12    +++ exited with 0 +++',
        '',
      ].join('\n'),
    )
    assert.deepEqual(
      calls.map((call) => [call.pid, call.name, call.line]),
      [
        [undefined, 'execve', 1],
        [12, 'exit_group', 4],
      ],
    )
    assert.equal(reader.unreadable, 0)
  })

  it('takes every prefix that strace can write', () => {
    const prefixes = ['', '12  ', '[pid    12] ', '12 10:11:12 ', '[pid 12] 10:11:12.123456 ', '12 1700000000.123456 ']
    prefixes.push('     0.000123 ', '12<bash> ', '[pid 12<a b>] ', '[ 259] ', '12 [00007f1234567890] ')
    prefixes.push('[pid 12] 10:11:12 (+     0.000010) [ 133] [00007f12] ')
    for (const prefix of prefixes) {
      const {calls} = read(`${prefix}mknod("x", S_IFCHR|0666, makedev(0x1, 0x3)) = 0 <0.000010>`)
      assert.equal(calls[0]?.name, 'mknod', prefix)
      assert.equal(calls[0].pid, prefix.includes('12') && !/^\s*0\./.test(prefix) ? 12 : undefined, prefix)
    }
  })

  it('joins resumed calls with their beginning, thread by thread', () => {
    const {calls} = read(
      [
        '[pid 1] mknod("a",  <unfinished ...>',
        '[pid 2] mknod("b", S_IFCHR|0600, makedev(0x1, 0x3) <unfinished ...>',
        '[pid 1] <... mknod resumed>S_IFBLK|0600, makedev(0x8, 0)) = -1 EPERM (Operation not permitted)',
        '[pid 2] <... mknod resumed>) = 0',
        '[pid 3] <... read resumed>"", 10) = 0',
        '[pid 4] sysinfo( <unfinished ...>',
      ].join('\n'),
    )
    assert.deepEqual(
      calls.map((call) => [call.pid, call.name, call.arguments.length, call.result?.errno]),
      [
        [1, 'mknod', 3, 'EPERM'],
        [2, 'mknod', 3, undefined],
        [4, 'sysinfo', 0, undefined],
      ],
    )
  })

  it('follows a process into another ABI', () => {
    const {calls} = read(
      [
        '[pid 7] getpid() = 7',
        '[ Process PID=7 runs in 32 bit mode. ]',
        '[pid 7] getpid() = 7',
        '[pid 8] getpid() = 8',
        '[ Process PID=8 runs in x32 mode. ]',
        '[pid 8] getpid() = 8',
      ].join('\n'),
    )
    assert.deepEqual(
      calls.map((call) => call.abi),
      ['x86_64', 'i386', 'x86_64', 'x32'],
    )
  })

  it('counts lines that it cannot read', () => {
    assert.equal(read('mknod("abc\nmknod(\n').reader.unreadable, 2)
  })
})
