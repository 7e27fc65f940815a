import assert from 'node:assert/strict'

import fc from 'fast-check'

import {bytesOfBuffer} from '../../../../../src/intercept/families/modules/module-bytes.js'
import {moduleName} from '../../../../../src/intercept/families/modules/module-name.js'
import type {CallerFacts} from '../../../../../src/intercept/family.js'
import {decideModule, decideName} from '../../../../../src/intercept/families/modules/decide.js'
import {MACHINE, madeModule} from '../../../../helpers/kernel-module.js'

const nameOf = (file: Buffer) => moduleName(bytesOfBuffer(file), MACHINE)
const [EPERM, EINVAL, EFAULT] = [1, 22, 14]

describe('moduleName', () => {
  it('is what .modinfo says first, with underscores', () => {
    assert.equal(nameOf(madeModule('nf_nat_ftp')), 'nf_nat_ftp')
    assert.equal(nameOf(madeModule('crc32-pclmul')), 'crc32_pclmul')
    assert.equal(nameOf(madeModule('', {modinfo: 'name=first\0name=second\0'})), 'first')
    assert.equal(nameOf(madeModule('', {modinfo: 'alias=name=x\0name=y'})), 'y')
  })

  const wrong: readonly [string, Buffer][] = [
    ['an empty file', Buffer.alloc(0)],
    ['a text', Buffer.from('#!/bin/sh\n'.repeat(100))],
    ['a header alone', madeModule('x').subarray(0, 64)],
    ['another machine', madeModule('x', {machine: 8})],
    ['a 32-bit file', madeModule('x', {spoil: (file) => file.writeUInt8(1, 4)})],
    ['a program', madeModule('x', {spoil: (file) => file.writeUInt16LE(2, 16)})],
    ['sections beyond the end', madeModule('x', {spoil: (file) => file.writeBigUInt64LE(1n << 63n, 40)})],
    ['sections that wrap around', madeModule('x', {spoil: (file) => file.writeBigUInt64LE(2n ** 64n - 64n, 40)})],
    ['no table of names', madeModule('x', {spoil: (file) => file.writeUInt16LE(9, 62)})],
    ['no .modinfo', madeModule('x', {spoil: (file) => file.write('X', file.indexOf('.modinfo') + 1)})],
    ['no name', madeModule('', {modinfo: 'license=GPL\0'})],
    ['a path as its name', madeModule('../../etc/x')],
    ['an option as its name', madeModule('-r x')],
    ['an empty name', madeModule('')],
    ['a name that is too long', madeModule('x'.repeat(56))],
  ]
  for (const [title, file] of wrong) it(`has none of ${title}`, () => assert.equal(nameOf(file), undefined))

  it('reads no byte beyond the file, whatever the numbers in it', () => {
    const whole = madeModule('x')
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), {maxLength: 12}), (changes) => {
        const file = Buffer.from(whole)
        for (const [at, byte] of changes) file[at] = byte
        const name = moduleName(
          {
            size: file.length,
            read(offset, length) {
              assert.ok(offset >= 0 && length >= 0 && offset + length <= file.length)
              return file.subarray(offset, offset + length)
            },
          },
          MACHINE,
        )
        assert.ok(name === undefined || /^\w+$/.test(name))
      }),
      {numRuns: 2000},
    )
  })
})

describe('finit_module decisions', () => {
  const root: CallerFacts = {uid: 0, gid: 0, effective: 1n << 16n, inContainerUserNamespace: true}
  const policy = {names: ['loop']}
  const plain = {uargs: Buffer.alloc(0)}

  it('need CAP_SYS_MODULE, known flags and no force', () => {
    const verdict = (flags: number, facts = root) => decideModule({...plain, flags}, facts, policy)
    assert.equal(verdict(0).kind, 'perform')
    assert.equal(verdict(4).kind, 'perform')
    assert.deepEqual([verdict(8), verdict(1), verdict(6), verdict(0, {...root, effective: 0n})].map(errnoOf), [
      EINVAL,
      EPERM,
      EPERM,
      EPERM,
    ])
    assert.equal(verdict(0, {...root, inContainerUserNamespace: false}).kind, 'continue')
  })

  it('need an allowlisted name and no parameters', () => {
    const names = new Set(['loop'])
    const none = () => ''
    assert.equal(decideName('loop', plain, names, none).kind, 'perform')
    const refused = decideName('brd', plain, names, none)
    assert.deepEqual('hint' in refused && refused.hint, {flag: '--finit-module', value: 'brd'})
    assert.equal(errnoOf(decideName('loop', {uargs: Buffer.from('max_loop=8')}, names, none)), EPERM)
    assert.equal(errnoOf(decideName('loop', {uargs: {errno: EFAULT}}, names, none)), EFAULT)
  })

  it('take the parameters that the host gives by itself', () => {
    const names = new Set(['loop'])
    const kind = (asked: string) =>
      decideName('loop', {uargs: Buffer.from(asked)}, names, () => 'max_loop=8 max_part=3').kind
    assert.deepEqual(
      ['max_loop=8  max_part=3 ', '', 'max_loop=8', 'max_loop=9 max_part=3', 'max_part=3 max_loop=8'].map(kind),
      ['perform', 'perform', 'refuse', 'refuse', 'refuse'],
    )
  })

  const errnoOf = (verdict: ReturnType<typeof decideModule>) => (verdict.kind === 'refuse' ? verdict.errno : undefined)
})
