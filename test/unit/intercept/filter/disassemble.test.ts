// Listings of filters.

import assert from 'node:assert/strict'
import {decode, encode} from '../../../../src/intercept/filter/bpf.js'
import {cListing, disassemble, hexListing} from '../../../../src/intercept/filter/disassemble.js'
import {compileFilter} from '../../../../src/intercept/filter/filter.js'

describe('disassemble', () => {
  const {instructions, bytes} = compileFilter(
    [
      {
        abi: 'x86_64',
        number: 133,
        condition: [[{argument: 1, width: 32, mask: 0o170000n, operator: 'eq', value: 0o020000n}]],
        action: {kind: 'notify'},
      },
      {abi: 'x86_64', number: 246, action: {kind: 'errno', errno: 38}},
    ],
    {abis: ['x86_64', 'i386', 'x32']},
  )

  it('gives one line for each instruction, with absolute targets and the reason', () => {
    const lines = disassemble(instructions)
    assert.equal(lines.length, instructions.length)
    const text = lines.join('\n')
    assert.match(lines[0] ?? '', /^0000 {2}0x20 0x00 0x00 0x00000004 {2}A = arch/)
    assert.match(text, /if \(A == 0x85\) goto \d+ else goto \d+ +; mknod \(133\)/)
    assert.match(text, /A &= 0xf000\n/)
    assert.match(text, /; \(int\) arg1 & 0xf000 == 0x2000/)
    assert.match(text, /return notify/)
    assert.match(text, /return errno 38 \(ENOSYS\)/)
    for (const [index, line] of lines.entries()) {
      const {code, jt, jf} = instructions[index]!
      const targets = /goto (\d+) else goto (\d+)/.exec(line)
      if (targets === null) continue
      assert.equal(code & 7, 5)
      assert.deepEqual([Number(targets[1]), Number(targets[2])], [index + 1 + jt, index + 1 + jf])
    }
  })

  it('lists programs of other makers without failing', () => {
    const foreign = decode(Buffer.from('0c00000000000000' + '0600000000000300', 'hex'))
    assert.deepEqual(disassemble(foreign), [
      '0000  0x0c 0x00 0x00 0x00000000  code 0xc jt 0 jf 0 k 0x0',
      '0001  0x06 0x00 0x00 0x00030000  return trap',
    ])
  })

  it('gives forms that lead back to the same bytes', () => {
    assert.equal(hexListing(instructions).join(''), bytes.toString('hex'))
    assert.deepEqual(encode(decode(bytes)), bytes)
    const fields = cListing(instructions, 'filter').flatMap((line) => {
      const match = /^ {2}\{(0x[0-9a-f]+), (\d+), (\d+), (0x[0-9a-f]+)\},/.exec(line)
      return match === null
        ? []
        : [{code: Number(match[1]), jt: Number(match[2]), jf: Number(match[3]), k: Number(match[4])}]
    })
    assert.deepEqual(encode(fields), bytes)
  })
})
