// The generated system call tables: spot checks against the kernel's ABI documents, and their shape.

import assert from 'node:assert/strict'

import {ABIS, X32_SYSCALL_BIT, abiOf, abisOfMachine} from '../../../src/kernel/abi.js'
import type {Abi} from '../../../src/kernel/abi.js'
import {syscallName, syscallNames, syscallNumber} from '../../../src/kernel/calls/index.js'

const ALL: readonly Abi[] = ['aarch64', 'arm', 'i386', 'x32', 'x86_64']

describe('syscall tables', () => {
  it('B17: know the numbers of each ABI', () => {
    const expected: readonly [Abi, string, number | undefined][] = [
      ['x86_64', 'read', 0],
      ['x86_64', 'mknodat', 259],
      ['x86_64', '_sysctl', 156],
      ['i386', 'mknod', 14],
      ['i386', 'mknodat', 297],
      ['i386', '_llseek', 140],
      ['x32', 'mknodat', X32_SYSCALL_BIT + 259],
      ['x32', 'ioctl', X32_SYSCALL_BIT + 514],
      ['aarch64', 'mknodat', 33],
      ['aarch64', 'mknod', undefined],
      ['arm', 'mknodat', 324],
      ['arm', 'set_tls', 0xf0005],
    ]
    for (const [abi, name, number] of expected) assert.equal(syscallNumber(abi, name), number, `${abi} ${name}`)
  })

  it('find a number by its whole name, whether the table has been read or not', async () => {
    // Here it has: syscallNames() reads it. In a module of its own it has not.
    const url = new URL('../../../src/kernel/calls/index.ts?fresh', import.meta.url).href
    const fresh = (await import(url)) as {readonly syscallNumber: typeof syscallNumber}
    const names = ALL.map((abi) => [...syscallNames(abi), 'pen', 'rea', 'ad', ''])
    const find = (from: typeof syscallNumber) =>
      ALL.map((abi, index) => names[index]!.map((name) => from(abi, name) ?? -1))
    const before = find(fresh.syscallNumber)
    assert.deepEqual(before, find(syscallNumber))
    assert.deepEqual(
      before.map((numbers) => numbers.slice(-4)),
      ALL.map(() => [-1, -1, -1, -1]),
    )
  })

  it('have one number for new calls on every ABI', () => {
    const recent = {statmount: 457, mseal: 462, setxattrat: 463, removexattrat: 466, open_tree_attr: 467}
    for (const abi of ALL) {
      const bit = abi === 'x32' ? X32_SYSCALL_BIT : 0
      for (const [name, number] of Object.entries(recent)) assert.equal(syscallNumber(abi, name), bit + number)
    }
  })

  it('lead from every number back to its name and ABI', () => {
    for (const abi of ALL) {
      assert.ok(syscallNames(abi).length > 300)
      for (const name of syscallNames(abi)) {
        const number = syscallNumber(abi, name)
        assert.ok(number !== undefined && Number.isSafeInteger(number))
        assert.equal(syscallName(abi, number), name)
        assert.equal(abiOf(ABIS[abi].auditArch, number), abi)
      }
    }
  })

  it('have every call that is intercepted or denied where the kernel has it', () => {
    const everywhere = [
      'mknodat',
      'mount',
      'umount2',
      'fsopen',
      'fsconfig',
      'fsmount',
      'bpf',
      'sysinfo',
      'finit_module',
    ]
    for (const abi of ALL) for (const name of everywhere) assert.notEqual(syscallNumber(abi, name), undefined)
  })

  it('give no ABI for a foreign architecture or machine', () => {
    assert.equal(abiOf(0xc000_00f3, 0), undefined)
    assert.deepEqual(abisOfMachine('s390x'), [])
    assert.deepEqual(abisOfMachine('x64'), ['x86_64', 'i386', 'x32'])
  })
})
