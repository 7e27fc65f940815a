// Judging of calls: the filters, the families' own decisions, and the flags that are advised.

import assert from 'node:assert/strict'

import fc from 'fast-check'

import {adviserFor} from '../../../src/cli/line/explain-flags.js'
import {parseDenyRules} from '../../../src/config/lxc-rules.js'
import {adviseCall, fewestFlags} from '../../../src/explain/advise.js'
import type {Advised, Adviser} from '../../../src/explain/advise.js'
import {CONTAINER_ROOT, Judge} from '../../../src/explain/judge.js'
import {parseCall} from '../../../src/explain/strace-notation.js'
import type {FlagValues} from '../../../src/flag.js'
import {int32} from '../../../src/intercept/caller/argument-kinds.js'
import {Composition} from '../../../src/intercept/composition.js'
import {FAMILIES} from '../../../src/intercept/families/index.js'
import {decideMknod} from '../../../src/intercept/families/mknod/decide.js'
import type {MknodPolicy} from '../../../src/intercept/families/mknod/policy.js'
import {schedPolicy} from '../../../src/intercept/families/sched/policy.js'
import type {SchedPolicy} from '../../../src/intercept/families/sched/policy.js'
import {defineFamily} from '../../../src/intercept/family.js'
import type {AnyFamily, Argument, Values, Verdict} from '../../../src/intercept/family.js'
import {wordsOf} from '../../../src/intercept/hint.js'
import {MACHINE_ABIS} from '../../../src/kernel/abi.js'
import {callNumber} from '../../../src/kernel/calls/index.js'
import {decodeDevice} from '../../../src/kernel/device-numbers.js'

const native = MACHINE_ABIS[0] ?? 'x86_64'
const advise = (text: string, values: FlagValues = {}): Advised =>
  adviseCall(parseCall(text), native, adviserFor(values, {rootless: false}))
const flagsOf = (advised: Advised): string => advised.advice.flatMap(wordsOf).join(' ')

describe('adviseCall', () => {
  it('decides as run does', () => {
    const {policy: whole} = adviserFor({mknod: true}, {rootless: false}).withFlags([])!.composition
    const policy = whole['mknod'] as MknodPolicy
    assert.ok(policy.devices.length > 0)
    const device = fc.record({major: fc.integer({min: 0, max: 20}), minor: fc.integer({min: 0, max: 300})})
    fc.assert(
      fc.property(
        device,
        fc.constantFrom(['S_IFBLK', 0o060000] as const, ['S_IFCHR', 0o020000] as const),
        (at, type) => {
          const advised = advise(`mknodat(AT_FDCWD, "x", ${type[0]}|0600, makedev(${at.major}, ${at.minor}))`, {
            mknod: true,
          })
          if (type[0] === 'S_IFCHR' && at.major === 0 && at.minor === 0) {
            assert.equal(advised.outcome, 'kernel')
            return
          }
          const dev = (at.minor & 0xff) | (at.major << 8) | ((at.minor & ~0xff) << 12)
          assert.deepEqual(decodeDevice(dev), {...at})
          const verdict = decideMknod({mode: type[1] | 0o600, dev}, CONTAINER_ROOT, policy)
          assert.equal(advised.outcome, verdict.kind === 'perform' ? 'performed' : 'refused')
          assert.equal(advised.reason, verdict.reason)
          assert.equal(advised.family, 'mknod')
        },
      ),
      {numRuns: 50},
    )
  })

  it('advises the flag that the policy lacks, tried out', () => {
    const advised = advise('mknodat(AT_FDCWD, "/dev/sda", S_IFBLK|0660, makedev(8, 0))', {mknod: true})
    assert.deepEqual([advised.outcome, advised.by, advised.errno], ['refused', 'policy', 1])
    assert.equal(flagsOf(advised), '--mknod-allow b:8:0')
    const allowed = advise('mknodat(AT_FDCWD, "/dev/sda", S_IFBLK|0660, makedev(8, 0))', {'mknod-allow': ['b:8:0']})
    assert.equal(allowed.outcome, 'performed')
    assert.deepEqual(
      allowed.rules.filter(({allows}) => allows).map(({entry}) => entry),
      ['b:8:0'],
    )
  })

  it('advises the family where it is off, and nothing beyond what is needed', () => {
    const simple = advise('mknodat(AT_FDCWD, "x", S_IFCHR|0666, makedev(1, 3))')
    assert.deepEqual([simple.outcome, simple.by, flagsOf(simple)], ['refused', 'kernel', '--mknod'])
    const other = advise('mknodat(AT_FDCWD, "x", S_IFBLK|0666, makedev(8, 0))')
    assert.deepEqual([other.outcome, other.by, flagsOf(other)], ['refused', 'kernel', '--mknod-allow b:8:0'])
  })

  it('does not call refused what every process may do', () => {
    assert.deepEqual(
      [advise('sysinfo(0x7ffe1000)').outcome, flagsOf(advise('sysinfo(0x7ffe1000)'))],
      ['kernel', '--sysinfo'],
    )
    assert.equal(advise('mknodat(AT_FDCWD, "x", S_IFIFO|0666)', {mknod: true}).outcome, 'kernel')
    assert.equal(advise('read(0, "", 10)').outcome, 'kernel')
  })

  it('knows what the filter refuses whatever the flags', () => {
    const advised = advise('ioctl(0, TIOCSTI, "x")')
    assert.deepEqual([advised.outcome, advised.by, advised.errno, flagsOf(advised)], ['refused', 'filter', 1, ''])
    assert.equal(advise('ioctl(0, TIOCGWINSZ, {ws_row=24})').outcome, 'kernel')
    assert.equal(advise('umount2("/mnt", MNT_FORCE|MNT_DETACH)').outcome, 'kernel')
  })

  it('tells when it cannot tell', () => {
    const unknown = advise('mknodat(AT_FDCWD, "x", S_IFODD|0666, makedev(1, 3))')
    assert.deepEqual([unknown.outcome, unknown.reason], ['unknown', 'argument 3 decides, and S_IFODD is not known'])
    const missing = advise('mknodat(AT_FDCWD, "x", S_IFCHR|0666)', {mknod: true})
    assert.deepEqual([missing.outcome, missing.reason], ['unknown', 'argument 4 decides, and it is not given'])
    const absent = advise('mknodd("x")')
    assert.deepEqual([absent.outcome, absent.number], ['unknown', undefined])
  })

  it('does not judge what depends on where memory lies', () => {
    const rules = parseDenyRules(['lsetxattr trap [2,24576,SCMP_CMP_MASKED_EQ,61440]'], Error)
    const under = {rootless: false, denied: {rules, defaults: true}}
    const judge = (value: string) =>
      adviseCall(parseCall(`lsetxattr("f", "trusted.x", ${value}, 1, 0)`), native, adviserFor({setxattr: true}, under))
    const {outcome, reason} = judge('"y"')
    assert.deepEqual(
      [outcome, reason],
      ['unknown', 'argument 3 decides, and it is an address, which the notation does not hold'],
    )
    assert.equal(judge('0x6000').reason, "the filter's answer is trap")
  })

  it('leaves to the kernel what only concerns objects that were emulated', () => {
    assert.equal(advise('unlinkat(AT_FDCWD, "x", 0)', {mknod: true}).outcome, 'continued')
    assert.equal(advise('unlinkat(AT_FDCWD, "x", AT_REMOVEDIR)', {mknod: true}).outcome, 'kernel')
  })
})

describe('fewestFlags', () => {
  it('leaves out what the others imply', () => {
    const adviser = adviserFor({}, {rootless: false})
    const calls = [
      'c", S_IFCHR|0600, makedev(1, 3)',
      'b", S_IFBLK|0600, makedev(8, 0)',
      'd", S_IFBLK|0600, makedev(8, 1)',
    ]
    const needs = calls.map((text) => {
      const call = parseCall(`mknodat(AT_FDCWD, "${text})`)
      return {call, abi: native, advice: adviseCall(call, native, adviser).advice}
    })
    assert.deepEqual(fewestFlags(needs, adviser), [
      {flag: '--mknod-allow', value: 'b:8:0'},
      {flag: '--mknod-allow', value: 'b:8:1'},
    ])
    assert.deepEqual(fewestFlags(needs.slice(0, 1), adviser), [{flag: '--mknod'}])
    assert.deepEqual(fewestFlags([], adviser), [])
  })
})

describe('structures of traces', () => {
  const values = {'bpf-devices': true, 'sched-setscheduler': true, 'setxattr-allow': ['trusted.foo']}
  const rows: readonly (readonly [string, string])[] = [
    [
      'sched_setattr(0, {size=56, sched_policy=SCHED_FIFO, sched_flags=0, sched_nice=0, sched_priority=9}, 0)',
      'performed',
    ],
    ['sched_setparam(0, {sched_priority=99})', 'refused'],
    ['setxattrat(AT_FDCWD, "f", 0, "trusted.foo", {value="abc", size=3, flags=0}, 16)', 'performed'],
    // As long as programs of today have it.
    ['bpf(BPF_PROG_LOAD, {prog_type=BPF_PROG_TYPE_XDP, insn_cnt=2, insns=0x7ffd, license="GPL"}, 148)', 'continued'],
    [
      'bpf(BPF_PROG_ATTACH, {target_fd=3, attach_bpf_fd=4, attach_type=BPF_CGROUP_DEVICE, attach_flags=0}, 20)',
      'performed',
    ],
    ['bpf(BPF_LINK_CREATE, {link_create={prog_fd=3, target_fd=4, attach_type=BPF_CGROUP_DEVICE}}, 48)', 'performed'],
    ['bpf(BPF_PROG_QUERY, {query={target_fd=3, attach_type=BPF_CGROUP_DEVICE, query_flags=0}}, 64)', 'performed'],
  ]
  for (const [text, outcome] of rows)
    it(`are read in ${text}`, () => {
      if (callNumber(native, {name: parseCall(text).name}) === undefined) return
      assert.equal(advise(text, values).outcome, outcome)
    })
})

/** A family whose call takes a structure, and whose hints lead from one flag to the next. */
const schedAttr: Argument<{readonly policy: number; readonly priority: number}> = {
  index: 1,
  read(registers, memory) {
    const bytes = memory.bytes(registers.address(1), 56)
    assert.equal(bytes.readUInt32LE(0), 56)
    return {policy: bytes.readUInt32LE(4), priority: bytes.readUInt32LE(20)}
  },
  layout: () => ({
    bytes: 56,
    members: {
      size: {offset: 0, type: 'u32'},
      sched_policy: {offset: 4, type: 'u32'},
      sched_flags: {offset: 8, type: 'u64'},
      sched_nice: {offset: 16, type: 'u32'},
      sched_priority: {offset: 20, type: 'u32'},
    },
  }),
  show: ({policy, priority}) => `{sched_policy=${policy}, sched_priority=${priority}}`,
  json: (value) => value,
}
const schedArguments = {pid: int32(0), attr: schedAttr}
const schedFamily: AnyFamily = defineFamily<SchedPolicy, object>({
  name: 'sched',
  summary: 'a test',
  strategies: [],
  policy: schedPolicy,
  calls: () => [
    {
      name: 'sched_setattr',
      arguments: schedArguments,
      decide({attr}: Values<typeof schedArguments>, _facts: unknown, {maxPriority}: SchedPolicy): Verdict {
        if (attr.priority <= maxPriority) return {kind: 'perform', reason: `priority ${attr.priority}`}
        const hint = {flag: '--sched-max-priority', value: String(attr.priority)}
        return {kind: 'refuse', errno: 1, reason: `${attr.priority} is above ${maxPriority}`, hint}
      },
      perform: () => ({kind: 'failed', errno: 1, strategy: 'none'}),
    },
  ],
  start: () => ({}),
})

describe('a family with structures and settings', () => {
  const families = [...FAMILIES.filter(({name}) => name !== 'sched'), schedFamily]
  const adviser: Adviser = {
    families,
    withFlags(flags) {
      const on = flags.some(({flag}) => flag === '--sched-setscheduler')
      const maxPriority = Number(flags.find(({flag}) => flag === '--sched-max-priority')?.value ?? 50)
      return new Judge(new Composition({families, rootless: false, policy: on ? {sched: {maxPriority}} : {}}))
    },
  }
  const call = (priority: number): string =>
    `sched_setattr(0, {size=56, sched_policy=SCHED_FIFO, sched_flags=0, sched_nice=0, sched_priority=${priority}}, 0)`

  it('reads the structure by the declaration of the family', () => {
    const judge = adviser.withFlags([{flag: '--sched-setscheduler'}])
    const judged = judge?.judge(parseCall(call(7)), native)
    assert.equal(judged?.outcome, 'performed')
    assert.deepEqual(judged.values, {pid: 0, attr: {policy: 1, priority: 7}})
    assert.deepEqual(judged.rules, [{member: 'maxPriority', entry: '50', allows: undefined}])
    assert.match(judged.shown ?? '', /sched_priority=7/)
  })

  it('follows hints from flag to flag', () => {
    const advised = adviseCall(parseCall(call(90)), native, adviser)
    assert.equal(flagsOf(advised), '--sched-setscheduler --sched-max-priority 90')
    assert.equal(flagsOf(adviseCall(parseCall(call(9)), native, adviser)), '--sched-setscheduler')
  })

  it('cannot tell where the notation does not show the memory', () => {
    const judge = adviser.withFlags([{flag: '--sched-setscheduler'}])
    const judged = judge?.judge(parseCall('sched_setattr(0, 0x7ffe1000, 0)'), native)
    assert.deepEqual(
      [judged?.outcome, judged?.reason],
      ['unknown', 'what an argument points to is not in the notation'],
    )
  })
})
