import assert from 'node:assert/strict'

import fc from 'fast-check'

import type {Decision} from '../../../src/intercept/decision.js'
import {decisionLine} from '../../../src/render/json.js'
import {colourStyle} from '../../../src/render/style.js'
import {traceLine} from '../../../src/render/trace.js'
import {decision, refused, vocabulary} from '../../helpers/decisions.js'

// Everything that moves a cursor, ends a line, or hides or reorders text.
// eslint-disable-next-line no-control-regex -- controls are what is looked for
const harmful = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]/u

describe('traceLine', () => {
  const rows: readonly [string, Partial<Decision>, string][] = [
    [
      'an emulated call',
      {},
      'interceptor: [4123 mknod] mknodat(AT_FDCWD, "dev/null", S_IFCHR|0666, makedev(1, 3)) = 0  emulated (node, 23 us): /dev/null is allowlisted\n',
    ],
    [
      'a refused call',
      refused,
      'interceptor: [4130 mknod] mknodat(AT_FDCWD, "sda", S_IFBLK|0660, makedev(8, 0)) = -1 EPERM  refused: block 8:0 is not allowlisted; --mknod-allow b:8:0 would allow it\n',
    ],
    [
      'a failed call',
      {
        pid: 4131,
        comm: 'tar',
        outcome: 'failed',
        errno: 17,
        result: null,
        latencyUs: 19.4,
        reason: "the kernel's own error",
      },
      'interceptor: [4131 tar] mknodat(AT_FDCWD, "dev/null", S_IFCHR|0666, makedev(1, 3)) = -1 EEXIST  failed (node, 19 us): the kernel\'s own error\n',
    ],
    [
      'a continued call without a declaration',
      {
        syscall: 'mount',
        comm: 'mount',
        values: undefined,
        registers: [0x7ffen, 0n],
        outcome: 'continued',
        strategy: null,
        result: null,
        reason: "propagation is the kernel's to decide",
      },
      "interceptor: [4123 mount] mount(0x7ffe, 0x0) = ?  continued: propagation is the kernel's to decide\n",
    ],
    [
      'a caller that was gone',
      {pid: 0, comm: '', values: undefined, outcome: 'refused', errno: 14, reason: 'unreadable'},
      'interceptor: [0 ] mknodat() = -1 EFAULT  refused: unreadable\n',
    ],
    [
      'a result and a short time',
      {syscall: 'bpf', values: undefined, result: 7, latencyUs: 3.14, strategy: null, reason: 'x'},
      'interceptor: [4123 mknod] bpf() = 7  emulated (3.1 us): x\n',
    ],
    [
      'hostile text',
      {
        comm: '\u001b]0;x\u0007\n',
        values: {dirfd: 3, pathname: Buffer.from('a\n\u001b[2J"\xff\u202e', 'latin1'), mode: 0o020666, dev: 0x103},
        reason: 'line\nbreak \u202e',
        hint: {advice: '\u0085'},
      },
      'interceptor: [4123 \\x1b]0;x\\x07\\n] mknodat(3, "a\\n\\x1b[2J\\"\\xff.", S_IFCHR|0666, makedev(1, 3)) = 0  emulated (node, 23 us): line\\nbreak \\xe2\\x80\\xae; \\xc2\\x85\n',
    ],
  ]
  for (const [title, changes, line] of rows) {
    it(`shows ${title}`, () => {
      assert.equal(traceLine(decision(changes), vocabulary), line)
    })
  }

  it('cuts long strings outside of escapes', () => {
    for (let shift = 0; shift < 4; shift++) {
      const pathname = Buffer.from('a'.repeat(shift) + '\u0001'.repeat(4000))
      const line = traceLine(decision({values: {dirfd: 3, pathname, mode: 0, dev: 0}}), vocabulary)
      assert.ok(line.length < 1400)
      assert.match(line, /\(3, "a{0,3}(\\x01)+"\.\.\., 0000, /)
    }
  })

  it('paints the outcome on a terminal only', async () => {
    const line = traceLine(decision(), vocabulary, await colourStyle())
    assert.ok(line.includes('\u001b[32memulated\u001b[39m'), line)
  })

  it('survives an argument that cannot be shown', () => {
    const line = traceLine(decision({values: {dirfd: 3}}), vocabulary)
    assert.match(line, /^interceptor: \[4123 mknod\] mknodat\(3, \?, /)
  })

  it('lets no harmful character out, in text or JSON, whatever comes in', () => {
    const text = fc.string({unit: 'binary', maxLength: 60})
    const input = fc.record({
      comm: text,
      syscall: fc.oneof(fc.constant('mknodat'), text),
      reason: text,
      hint: fc.option(fc.oneof(fc.record({advice: text}), fc.record({flag: text, value: text}))),
      strategy: fc.option(text),
      values: fc.option(
        fc.record({dirfd: fc.integer(), pathname: fc.uint8Array({maxLength: 3000}), mode: fc.nat(), dev: fc.nat()}),
        {nil: undefined},
      ),
    })
    fc.assert(
      fc.property(input, (changes) => {
        const line = traceLine(decision(changes), vocabulary)
        assert.doesNotMatch(line.slice(0, -1), harmful)
        assert.ok(line.endsWith('\n') && line.length < 10_000)
        const json = decisionLine(decision(changes), 1, vocabulary)
        assert.doesNotMatch(json.slice(0, -1), harmful)
        const back = JSON.parse(json) as {comm: string}
        assert.equal(back.comm, changes.comm)
      }),
      {numRuns: 500},
    )
  })
})
