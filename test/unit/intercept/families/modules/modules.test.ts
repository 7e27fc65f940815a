import assert from 'node:assert/strict'
import {chmodSync, mkdirSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {gzipSync} from 'node:zlib'

import fc from 'fast-check'

import {HostModules} from '../../../../../src/intercept/families/modules/host-modules.js'
import {bytesOfBuffer, compressionOf, unpack} from '../../../../../src/intercept/families/modules/module-bytes.js'
import {moduleName} from '../../../../../src/intercept/families/modules/module-name.js'
import type {CallerFacts} from '../../../../../src/intercept/family.js'
import {decideModule, decideName} from '../../../../../src/intercept/families/modules/decide.js'
import {MACHINE, madeModule} from '../../../../helpers/kernel-module.js'
import {temporaryDirectories} from '../../../../helpers/temporary.js'

const nameOf = (file: Buffer) => moduleName(bytesOfBuffer(file), MACHINE)
const [EPERM, ENOENT, EINVAL, EFAULT, ENOSYS] = [1, 2, 22, 14, 38]

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

describe('unpack', () => {
  it('knows what it is given, and gives back what was packed', () => {
    const file = madeModule('packed')
    const packed = bytesOfBuffer(gzipSync(file))
    assert.equal(compressionOf(packed), 'gzip')
    const unpacked = unpack(packed, 'gzip', false)
    assert.equal('bytes' in unpacked && moduleName(unpacked.bytes, MACHINE), 'packed')
    assert.equal(compressionOf(bytesOfBuffer(file)), undefined)
  })

  it('refuses what is damaged or unpacks to more than its limit', () => {
    const damaged = gzipSync(madeModule('x')).subarray(0, 30)
    assert.equal(errnoOf(unpack(bytesOfBuffer(damaged), 'gzip', false)), EINVAL)
    const bomb = gzipSync(Buffer.alloc(130 * 1024 * 1024), {level: 1})
    assert.equal(errnoOf(unpack(bytesOfBuffer(bomb), 'gzip', false)), EINVAL)
  }).timeout(20_000)

  const errnoOf = (unpacked: ReturnType<typeof unpack>) => ('errno' in unpacked ? unpacked.errno : undefined)
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
    assert.equal(decideName('loop', plain, names).kind, 'perform')
    const refused = decideName('brd', plain, names)
    assert.equal('hint' in refused && refused.hint, '--finit-module brd would allow it')
    assert.equal(errnoOf(decideName('loop', {uargs: Buffer.from('max_loop=8')}, names)), EPERM)
    assert.equal(errnoOf(decideName('loop', {uargs: {errno: EFAULT}}, names)), EFAULT)
  })

  const errnoOf = (verdict: ReturnType<typeof decideModule>) => (verdict.kind === 'refuse' ? verdict.errno : undefined)
})

describe('HostModules', () => {
  const temporary = temporaryDirectories()

  /** A host whose modprobe is `script`. */
  function host(script: string | undefined, hasModules = true): HostModules {
    const root = temporary()
    const at = (name: string) => join(root, name)
    for (const name of ['sys', 'lib', 'bin']) mkdirSync(at(name))
    mkdirSync(at('sys/loaded_one'))
    writeFileSync(at('lib/modules.builtin'), 'kernel/fs/built-in_one.ko\nkernel/drivers/other.ko\n')
    if (hasModules) writeFileSync(at('proc'), '')
    if (script !== undefined) {
      writeFileSync(at('bin/modprobe'), `#!/bin/sh\nS=${at('sys')}\n${script}\n`)
      chmodSync(at('bin/modprobe'), 0o755)
    }
    const searchPath = `${at('bin')}${script === undefined ? '' : ':/usr/bin:/bin'}`
    return new HostModules({sysModule: at('sys'), procModules: at('proc'), library: at('lib'), searchPath})
  }

  it('knows what is loaded and what is built in', () => {
    const modules = host('exit 1')
    assert.deepEqual(
      ['loaded_one', 'built_in_one', 'other', 'one', 'built'].map((name) => modules.isPresent(name)),
      [true, true, true, false, false],
    )
  })

  it('runs modprobe with the name alone, and believes what it then sees', () => {
    assert.deepEqual(host('[ "$*" = "-b -- good" ] && mkdir $S/good').load('good'), {kind: 'loaded'})
    const blacklisted = host('exit 0').load('good')
    assert.deepEqual(blacklisted, {kind: 'failed', errno: EPERM, reason: 'modprobe of the host did not load good'})
  })

  it('passes on the errno that modprobe tells, and its words', () => {
    const said = 'modprobe: FATAL: Module x not found in directory /lib/modules/6.1'
    assert.deepEqual(host(`echo "${said}" >&2; exit 1`).load('x'), {kind: 'failed', errno: ENOENT, reason: said})
    const silent = host('exit 3').load('x')
    assert.deepEqual(silent, {kind: 'failed', errno: EPERM, reason: 'modprobe failed with status 3'})
  })

  it('says when the kernel or the host can not load any', () => {
    for (const modules of [host(undefined), host('exit 1', false)]) {
      const loaded = modules.load('x')
      assert.equal(loaded.kind === 'failed' && loaded.errno, ENOSYS)
    }
  })
})
