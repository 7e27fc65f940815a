// The decisions about bpf(2), and the reading of its attribute.

import assert from 'node:assert/strict'

import {
  BPF_LINK_CREATE,
  BPF_PROG_ATTACH,
  BPF_PROG_DETACH,
  BPF_PROG_LOAD,
  BPF_PROG_QUERY,
} from '../../../../../src/kernel/names/bpf.js'
import {decodeAttr} from '../../../../../src/intercept/families/bpf/attr.js'
import {ProgramBudget} from '../../../../../src/intercept/families/bpf/program-budget.js'
import type {CallerFacts, Verdict} from '../../../../../src/intercept/family.js'
import {decideBpf, forbiddenInstruction} from '../../../../../src/intercept/families/bpf/decide.js'
import {deviceProgram, BASE_DEVICES} from '../../../../../src/container/cgroup/device-rule.js'

const CAP_NET_ADMIN = 1n << 12n
const CAP_BPF = 1n << 39n
const root: CallerFacts = {uid: 0, gid: 0, effective: 0x1ff_ffff_ffffn, inContainerUserNamespace: true}

function attrOf(...words: readonly number[]): Buffer {
  const bytes = Buffer.alloc(words.length * 4)
  words.forEach((word, index) => bytes.writeUInt32LE(word >>> 0, index * 4))
  return bytes
}

function decide(cmd: number, bytes: Buffer, facts: Partial<CallerFacts> = {}, devices = true): Verdict {
  const attr = {address: 4096, ...decodeAttr(cmd, bytes)}
  return decideBpf({cmd, attr}, {...root, ...facts}, {devices})
}

const load = attrOf(15, 2, 4096, 0, 8192, 0)
const attach = attrOf(3, 4, 6, 2)
const link = attrOf(4, 3, 6, 0)

describe('decideBpf', () => {
  it('performs all five commands for device programs', () => {
    for (const [command, attr] of [
      [BPF_PROG_LOAD, load],
      [BPF_PROG_ATTACH, attach],
      [BPF_PROG_DETACH, attach],
      [BPF_PROG_QUERY, attrOf(3, 6)],
      [BPF_LINK_CREATE, link],
    ] as const) {
      assert.equal(decide(command, attr).kind, 'perform', String(command))
    }
  })

  it('never hands attaching back to the kernel once the container holds programs', () => {
    const others = [attrOf(3, 4, 0, 0), attrOf(3, 4, 12, 2), attach, link, attrOf(3, 4, 6, 0xffff_ffff)]
    for (const command of [BPF_PROG_ATTACH, BPF_LINK_CREATE]) {
      for (const attr of others) {
        for (const inContainerUserNamespace of [true, false]) {
          assert.notEqual(decide(command, attr, {inContainerUserNamespace}).kind, 'continue')
        }
      }
    }
  })

  it('leaves other types of programs to the kernel', () => {
    assert.equal(decide(BPF_PROG_LOAD, attrOf(1, 2)).kind, 'continue')
    assert.equal(decide(BPF_PROG_QUERY, attrOf(3, 0)).kind, 'continue')
    assert.equal(decide(BPF_PROG_ATTACH, attrOf(3, 4, 0), {}, false).kind, 'continue')
  })

  it('asks for the capabilities that the kernel asks for', () => {
    const kindWith = (effective: bigint, command: number, attr: Buffer) => decide(command, attr, {effective}).kind
    assert.equal(kindWith(CAP_BPF | CAP_NET_ADMIN, BPF_PROG_LOAD, load), 'perform')
    assert.equal(kindWith(CAP_BPF, BPF_PROG_LOAD, load), 'refuse')
    assert.equal(kindWith(CAP_NET_ADMIN, BPF_PROG_LOAD, load), 'refuse')
    assert.equal(kindWith(CAP_NET_ADMIN, BPF_PROG_ATTACH, attach), 'perform')
    assert.equal(kindWith(0n, BPF_PROG_ATTACH, attach), 'refuse')
  })

  it('names the flag that allows device programs', () => {
    const verdict = decide(BPF_PROG_LOAD, load, {}, false)
    assert.deepEqual(verdict, {
      kind: 'refuse',
      errno: 1,
      reason: 'device programs are not allowlisted',
      hint: {flag: '--bpf-devices'},
    })
  })

  it('refuses members that would name objects of the supervisor', () => {
    const withMember = (offset: number) => {
      const bytes = Buffer.alloc(168)
      load.copy(bytes)
      bytes.writeUInt32LE(1, offset)
      return decide(BPF_PROG_LOAD, bytes)
    }
    // prog_ifindex, prog_btf_fd, func_info, line_info, attach_btf_id, attach_prog_fd, fd_array, core_relos, token, signature
    for (const offset of [64, 72, 80, 96, 108, 112, 120, 128, 144, 148, 152]) {
      assert.equal(withMember(offset).kind, 'refuse', String(offset))
    }
    for (const offset of [24, 28, 32, 40, 44, 48, 68]) assert.equal(withMember(offset).kind, 'perform', String(offset))
  })

  it('refuses what lies behind the members of a command, as kernels of different age do', () => {
    const behind = (offset: number) => {
      const bytes = Buffer.alloc(300)
      attach.copy(bytes)
      bytes[offset] = 1
      return decide(BPF_PROG_ATTACH, bytes)
    }
    assert.deepEqual(
      [behind(40), behind(299)].map((verdict) => 'errno' in verdict && verdict.errno),
      [22, 7],
    )
    assert.equal(decide(BPF_PROG_ATTACH, Buffer.concat([attach, Buffer.alloc(4000)])).kind, 'perform')
    assert.equal(decideBpf({cmd: 8, attr: null}, root, {devices: true}).kind, 'refuse')
  })

  it('refuses attach flags whose meaning is not known', () => {
    for (const flags of [32, 128, 1 << 13, 1 << 31]) {
      assert.equal(decide(BPF_PROG_ATTACH, attrOf(3, 4, 6, flags)).kind, 'refuse')
      assert.equal(decide(BPF_LINK_CREATE, attrOf(4, 3, 6, flags)).kind, 'refuse')
    }
  })
})

describe('forbiddenInstruction', () => {
  const instruction = (code: number, registers: number, immediate = 0): Buffer => {
    const bytes = Buffer.from([code, registers, 0, 0, 0, 0, 0, 0])
    bytes.writeInt32LE(immediate, 4)
    return bytes
  }

  it('passes the programs of device rules, helpers and local calls', () => {
    assert.equal(forbiddenInstruction(deviceProgram(BASE_DEVICES)), undefined)
    assert.equal(forbiddenInstruction(instruction(0x85, 0, 14)), undefined)
    assert.equal(forbiddenInstruction(instruction(0x85, 0x10, 187)), undefined)
    assert.equal(forbiddenInstruction(instruction(0x18, 0x01, 5)), undefined)
  })

  it('finds maps, kernel functions and bpf_set_retval() in any place', () => {
    for (const bad of [
      ...[1, 2, 3, 4, 5, 6].map((source) => instruction(0x18, source << 4)),
      instruction(0x85, 0x20, 1),
      instruction(0x85, 0, 187),
      instruction(0x8d, 0, 187),
      instruction(0x86, 0, 187),
    ]) {
      assert.notEqual(forbiddenInstruction(Buffer.concat([deviceProgram([]), bad, deviceProgram([])])), undefined)
    }
  })
})

describe('ProgramBudget', () => {
  it('forgets dead programs only when there is no room left', () => {
    const asked: number[] = []
    const budget = new ProgramBudget((id) => {
      asked.push(id)
      return id % 2 === 0
    })
    for (let id = 0; id < 10; id++) {
      budget.reserve(100_000)
      budget.add(id, 100_000)
    }
    assert.deepEqual(asked, [])
    budget.reserve(500_000)
    assert.equal(asked.length, 10)
    assert.throws(() => budget.reserve(500_001), {errno: 12})
  })

  it('bounds how many there are, whatever their size', () => {
    const budget = new ProgramBudget(() => true)
    for (let id = 0; id < 1024; id++) budget.add(id, 1)
    assert.throws(() => budget.reserve(1), {errno: 12})
  })
})
