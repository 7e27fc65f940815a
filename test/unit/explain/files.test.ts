// Whole files: traces and logs, judged and summed up.

import assert from 'node:assert/strict'
import {MACHINE_ABIS} from '../../../src/kernel/abi.js'
import {errnoName} from '../../../src/kernel/errno.js'
import {adviserFor} from '../../../src/cli/line/explain-flags.js'
import {FileJudge} from '../../../src/explain/files.js'
import type {FileFormat, FileReport, JudgedCall} from '../../../src/explain/files.js'
import {fileLine, fileReportLines} from '../../../src/explain/text.js'
import {dev, dirFd, mode, path} from '../../../src/intercept/caller/argument-kinds.js'
import {decisionLine, jsonLine} from '../../../src/render/json.js'
import {wordsOf} from '../../../src/intercept/hint.js'
import type {Vocabulary} from '../../../src/render/trace.js'
import {traceLine} from '../../../src/render/trace.js'
import {decision} from '../../helpers/decisions.js'

const native = MACHINE_ABIS[0] ?? 'x86_64'

function judge(format: FileFormat, text: string, flags = {}): {calls: JudgedCall[]; report: FileReport} {
  const calls: JudgedCall[] = []
  const adviser = adviserFor(flags, {rootless: false})
  const reader = new FileJudge({format, native, adviser, onCall: (call) => calls.push(call)})
  for (const line of text.split('\n')) reader.read(line)
  return {calls, report: reader.finish()}
}

const TRACE = `12 execve("/bin/sh", ["sh"], 0x7ffe /* 3 vars */) = 0
12 mknodat(AT_FDCWD, "null", S_IFCHR|0666, makedev(0x1, 0x3)) = 0
13 mknodat(AT_FDCWD, "sda",  <unfinished ...>
12 mknodat(AT_FDCWD, "zero", S_IFCHR|0666, makedev(0x1, 0x5)) = 0
13 <... mknodat resumed>S_IFBLK|0660, makedev(0x8, 0)) = 0
12 mknodat(AT_FDCWD, "sda", S_IFBLK|0660, makedev(0x8, 0)) = -1 EEXIST (File exists)
12 finit_module(3, "", 0) = 0
12 mknodat(AT_FDCWD, "fifo", S_IFIFO|0660) = 0
12 mknodat(AT_FDCWD
12 +++ exited with 0 +++`

describe('FileJudge', () => {
  it('judges a trace and finds the fewest flags', () => {
    const {calls, report} = judge('strace', TRACE)
    assert.deepEqual(
      calls.map(({line, pid, outcome, advice}) => [line, pid, outcome, advice.flatMap(wordsOf).join(' ')]),
      [
        [2, 12, 'refused', '--mknod'],
        [4, 12, 'refused', '--mknod'],
        [5, 13, 'refused', '--mknod-allow b:8:0'],
        [6, 12, 'refused', '--mknod-allow b:8:0'],
        [7, 12, 'refused', '--finit-module NAME'],
      ],
    )
    assert.deepEqual(report.flags, [
      {flag: '--mknod-allow', value: 'b:8:0'},
      {flag: '--finit-module', value: 'NAME'},
    ])
    assert.deepEqual([report.allowed, report.untouched, report.unreadable], [5, 2, 1])
    assert.deepEqual(report.counts, {refused: 5})
    assert.deepEqual(
      report.refused.map(({calls: count, syscall}) => [count, syscall]),
      [
        [2, 'mknodat'],
        [2, 'mknodat'],
        [1, 'finit_module'],
      ],
    )
  })

  it('finds nothing to refuse where the flags are given', () => {
    const trace = TRACE.replace(/^.*finit_module.*\n/m, '')
    const {report} = judge('strace', trace, {'mknod-allow': ['b:8:0']})
    assert.deepEqual([report.refused, report.flags, report.counts], [[], [], {performed: 4}])
    const lines = fileReportLines(report)
    assert.ok(lines.includes('interceptor would refuse none of the calls that it judges.'), lines.join('\n'))
    assert.ok(lines.includes('Left to the kernel, which may refuse them to a container: 2.'))
    assert.ok(lines.includes('Lines that could not be read: 1.'))
  })

  it('escapes what a trace holds', () => {
    const {calls} = judge(
      'strace',
      '1 mknodat(AT_FDCWD, "a\\33[2J\\302\\233\u001b[2J", S_IFBLK|0600, makedev(8, 0)) = 0',
    )
    assert.equal(calls.length, 1)
    // eslint-disable-next-line no-control-regex -- control characters are what this is about
    assert.doesNotMatch(fileLine(calls[0]!), /[\u0000-\u001f\u007f-\u009f]/)
  })

  const vocabulary: Vocabulary = {
    describe: () => ({dirfd: dirFd(0), path: path(1), mode: mode(2), dev: dev(3)}),
    errnoName,
  }
  const refused = decision({
    abi: native,
    syscall: 'mknodat',
    values: {dirfd: -100, path: Buffer.from('na\xc3 me\n', 'latin1'), mode: 0o060660, dev: 0x800},
    outcome: 'refused',
    result: -1,
    errno: 1,
    reason: 'block 8:0 is not allowlisted',
    hint: {flag: '--mknod-allow', value: 'b:8:0'},
  })

  it('judges our own log again, in both formats', () => {
    const other = {v: 1, event: 'start', time: 'x'}
    const json = `${jsonLine(other)}${decisionLine(refused, 1, vocabulary)}`.trimEnd()
    const logs = {
      json: Buffer.from(json).toString('latin1'),
      text: Buffer.from(traceLine(refused, vocabulary)).toString('latin1'),
    }
    for (const [format, log] of Object.entries(logs)) {
      for (const crlf of [log, log.replaceAll('\n', '\r\n')]) {
        const {calls, report} = judge('log', crlf, {mknod: true})
        assert.deepEqual([calls.length, calls[0]?.outcome, calls[0]?.pid], [1, 'refused', 4123], format)
        assert.deepEqual(report.flags, [{flag: '--mknod-allow', value: 'b:8:0'}], format)
        assert.equal(calls[0]?.shown, 'mknodat(AT_FDCWD, "na\\xc3 me\\n", S_IFBLK|0660, makedev(8, 0))', format)
        assert.equal(judge('log', crlf, {}).calls[0]?.text, calls[0].shown, format)
        assert.equal(judge('log', crlf, {'mknod-allow': ['b:8:0']}).calls[0]?.outcome, 'performed', format)
      }
    }
  })

  it('believes the log where a call cannot be read back', () => {
    const undecoded = {...refused, values: undefined, registers: undefined, hint: null}
    const {calls, report} = judge('log', decisionLine(undecoded, 1, vocabulary), {mknod: true})
    assert.deepEqual([calls[0]?.outcome, calls[0]?.reason], ['refused', 'block 8:0 is not allowlisted'])
    assert.deepEqual([report.flags, report.allowed], [[], 0])
  })

  it('reads the hint of such a call, with all of its value', () => {
    const undecoded = {...refused, values: undefined, registers: undefined}
    const hint = {flag: '--mount-source', value: '/a b; c'}
    const decisions = [
      decisionLine({...undecoded, hint}, 1, vocabulary),
      traceLine({...undecoded, hint, syscall: 'mount', reason: 'one; two'}, vocabulary),
    ]
    for (const line of decisions) {
      const {calls} = judge('log', Buffer.from(line).toString('latin1'), {mknod: true})
      assert.deepEqual([calls[0]?.outcome, calls[0]?.advice], ['refused', [hint]], line)
    }
  })
})
