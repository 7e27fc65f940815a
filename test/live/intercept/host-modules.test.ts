// Modules of the host, with programs that stand in for those of kmod, and modules that a program unpacks.

import assert from 'node:assert/strict'
import {chmodSync, closeSync, linkSync, mkdirSync, openSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {gzipSync} from 'node:zlib'

import {HostModules} from '../../../src/intercept/families/modules/host-modules.js'
import {bytesOfBuffer, compressionOf, withUnpacked} from '../../../src/intercept/families/modules/module-bytes.js'
import {moduleName} from '../../../src/intercept/families/modules/module-name.js'
import {MACHINE, madeModule} from '../../helpers/kernel-module.js'
import {temporaryDirectories} from '../../helpers/temporary.js'

const [EPERM, ENOENT, EINVAL, ENOSYS] = [1, 2, 22, 38]

describe('withUnpacked', () => {
  const unpackedName = (packed: Buffer): string | undefined =>
    withUnpacked(bytesOfBuffer(packed), 'gzip', false, (unpacked) => moduleName(unpacked, MACHINE))

  it('gives what was packed, wherever it is read', () => {
    const file = madeModule('packed')
    assert.equal(compressionOf(bytesOfBuffer(gzipSync(file))), 'gzip')
    assert.equal(unpackedName(gzipSync(file)), 'packed')
    assert.equal(compressionOf(bytesOfBuffer(file)), undefined)
  })

  it('refuses what is damaged', () => {
    const damaged = gzipSync(madeModule('x')).subarray(0, 30)
    assert.throws(() => unpackedName(damaged), {name: 'SystemError', errno: EINVAL})
  })

  it('keeps no more than the part that is read of what unpacks to gigabytes', () => {
    const before = process.memoryUsage.rss()
    const header = madeModule('x', {spoil: (file) => file.writeBigUInt64LE(100_000_000n, 40)}).subarray(0, 64)
    const bomb = gzipSync(Buffer.concat([header, Buffer.alloc(120_000_000)]), {level: 1})
    assert.equal(unpackedName(bomb), undefined)
    withUnpacked(bytesOfBuffer(bomb), 'gzip', false, (unpacked) => {
      assert.equal(unpacked.read(119_000_000, 16).length, 16)
      assert.throws(() => unpacked.read(120_000_060, 16), {errno: EINVAL})
    })
    // The bomb itself was made here: 120 MB, once and in pieces.
    assert.ok(process.memoryUsage.rss() - before < 400_000_000)
  }).timeout(30_000)
})

describe('HostModules', () => {
  const temporary = temporaryDirectories()

  /** A host whose modprobe is `script`. */
  function host(script: string | undefined, hasModules = true): HostModules & {readonly library: string} {
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
    const library = at('lib')
    writeFileSync(join(library, 'modules.dep'), 'kernel/y.ko:\nkernel/nf-x.ko.xz: kernel/y.ko\n')
    return Object.assign(new HostModules({sysModule: at('sys'), procModules: at('proc'), library, searchPath}), {
      library,
    })
  }

  it('knows what is loaded and what is built in', () => {
    const modules = host('exit 1')
    assert.deepEqual(
      ['loaded_one', 'built_in_one', 'other', 'one', 'built'].map((name) => modules.isPresent(name)),
      [true, true, true, false, false],
    )
  })

  it('knows a module by its file, packed or not, and no other file of that name', () => {
    const modules = host(undefined)
    const [own, other] = [join(temporary(), 'nf-x.ko.xz'), join(temporary(), 'nf-x.ko.xz')]
    for (const path of [own, other]) writeFileSync(path, 'packed')
    const nameOfFile = (path: string) => {
      const fd = openSync(path, 'r')
      try {
        return modules.nameOf(fd)
      } finally {
        closeSync(fd)
      }
    }
    mkdirSync(join(modules.library, 'kernel'))
    linkSync(own, join(modules.library, 'kernel/nf-x.ko.xz'))
    assert.deepEqual([nameOfFile(own), nameOfFile(other), nameOfFile('/etc/passwd')], ['nf_x', undefined, undefined])
  })

  it('reads the options of a module as modprobe knows them', () => {
    const shown = 'options other a=1\noptions nf-x  b=2\toptions\nalias x nf_x\noptions nf_x c=3\n'
    assert.equal(host(`printf '${shown.replaceAll('\n', '\\n')}'`).optionsOf('nf_x'), 'b=2 options c=3')
    assert.equal(host(undefined).optionsOf('nf_x'), '')
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

  it('says when the kernel or the host cannot load any', () => {
    for (const modules of [host(undefined), host('exit 1', false)]) {
      const loaded = modules.load('x')
      assert.equal(loaded.kind === 'failed' && loaded.errno, ENOSYS)
    }
  })
})
