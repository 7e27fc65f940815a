// Module loaders in real containers, with a real module of Debian and made ones.

import assert from 'node:assert/strict'
import {execFileSync} from 'node:child_process'
import {existsSync, mkdirSync, readdirSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {gzipSync} from 'node:zlib'

import {hintText} from '../../../src/intercept/hint.js'
import {denyFilter} from '../../../src/intercept/filter/filter.js'
import type {InterceptedRun} from '../../helpers/intercepted.js'
import {buildTestProgram, runIntercepted} from '../../helpers/intercepted.js'
import {debianModule, madeModule} from '../../helpers/kernel-module.js'
import {CALLABLE_ABIS, inContainer, itOnEachAbi, word} from '../../helpers/raw-calls.js'
import {skipTestUnless, skipUnless, skipUnlessPrivileged, skipUnlessPrograms} from '../../helpers/skip.js'
import {temporaryDirectories} from '../../helpers/temporary.js'

const [EPERM, ENOEXEC, EBADF, EFAULT, ENOMEM, EEXIST, EINVAL, ENOSYS] = [-1, -8, -9, -14, -12, -17, -22, -38]
const CAP_SYS_MODULE = 16
const COMPRESSED = 4
const policy = {modules: {names: ['crc32_pclmul', 'interceptor_test_none', 'kernel']}}

describe('finit_module in a container', function () {
  this.timeout(60_000)
  skipUnlessPrivileged()
  skipUnlessPrograms('cc')
  const directories = temporaryDirectories()

  function prepare(directory: string): void {
    writeFileSync(join(directory, 'allowed.ko'), madeModule('interceptor-test-none'))
    writeFileSync(join(directory, 'other.ko'), madeModule('interceptor_test_other'))
    writeFileSync(join(directory, 'present.ko'), madeModule('kernel'))
    writeFileSync(join(directory, 'text'), 'no module\n'.repeat(100))
    writeFileSync(join(directory, 'empty'), '')
    writeFileSync(join(directory, 'packed.gz'), gzipSync(madeModule('kernel')))
    mkdirSync(join(directory, 'd'))
  }

  itOnEachAbi('M12: answers by the name in the file, and with errnos of the kernel', async (abi) => {
    const finit = (fd: number | string, uargs: number | string = 's=', flags = 0) =>
      word(abi, 'finit_module', fd, uargs, flags)
    const present = `h=${madeModule('kernel').toString('hex')}`
    const size = madeModule('kernel').length
    const init = (memory: number | string, length: bigint | number, uargs: number | string = 's=') =>
      word(abi, 'init_module', memory, length, uargs)
    const cases: readonly (readonly [string, number])[] = [
      [finit('f=other.ko'), EPERM],
      [finit('f=text'), ENOEXEC],
      [finit('f=empty'), EINVAL],
      [finit('f=d'), EINVAL],
      [finit('f=/dev/null'), EINVAL],
      [finit('p=present.ko'), EBADF],
      [finit('w=present.ko'), EBADF],
      [finit(99), EBADF],
      [finit(-1), EBADF],
      [finit('f=allowed.ko', 's=', 8), EINVAL],
      [finit('f=allowed.ko', 's=', 1), EPERM],
      [finit('f=allowed.ko', 's=debug=1'), EPERM],
      [finit('f=allowed.ko', 8), EFAULT],
      [finit('f=allowed.ko', 'u=100'), EFAULT],
      [finit('f=allowed.ko', 'n=1048576'), EFAULT],
      [finit('f=packed.gz'), ENOEXEC],
      [finit('f=present.ko', 's=', COMPRESSED), EINVAL],
      [init(8, size), EFAULT],
      [init(0, 64), EFAULT],
      [init(present, 0), ENOEXEC],
      [init(present, 63), ENOEXEC],
      [init(present, size - 1), ENOEXEC],
      [init(present, (1n << 32n) - 1n), ENOMEM],
      [init(present, size, 8), EFAULT],
      ...(existsSync('/sys/module/kernel')
        ? ([
            [finit('f=present.ko'), EEXIST],
            [finit('f=packed.gz', 's=', COMPRESSED), EEXIST],
            [init(present, size), EEXIST],
          ] as const)
        : []),
    ]
    const words = cases.map(([own]) => own)
    const {answers} = await inContainer(directories(), words, policy, {prepare})
    assert.deepEqual(
      cases.map(([own], index) => [own.slice(0, 60), Number(answers[index])]),
      cases.map(([own, answer]) => [own.slice(0, 60), answer]),
    )
  })

  it('refuses callers without CAP_SYS_MODULE and names the flag for a name', async () => {
    const call = word(CALLABLE_ABIS[0]!, 'finit_module', 'f=other.ko', 's=', 0)
    const words = [call, `drop|${CAP_SYS_MODULE}`, call]
    const {answers, decisions} = await inContainer(directories(), words, policy, {prepare})
    assert.deepEqual(answers, [String(EPERM), '0', String(EPERM)])
    assert.deepEqual(
      decisions.map(({outcome, hint}) => [outcome, hint && hintText(hint)]),
      [
        ['refused', '--finit-module interceptor_test_other would allow it'],
        ['refused', null],
      ],
    )
  })

  it('goes as far as modprobe of the host, which does not know the name', async () => {
    const words = [word(CALLABLE_ABIS[0]!, 'finit_module', 'f=allowed.ko', 's=', 0)]
    const {answers, decisions} = await inContainer(directories(), words, policy, {prepare})
    const [decision] = decisions
    assert.equal(decision?.strategy, 'modprobe')
    assert.notEqual(answers[0], '0')
    assert.match(decision.reason, /no loadable modules|not found|not installed/)
  })

  it('B18: does not hold up other calls meanwhile', async () => {
    const directory = directories()
    // A pipe would be EINVAL; sections far behind the header take the unpacking program its time.
    const header = madeModule('x', {spoil: (file) => file.writeBigUInt64LE(100_000_000n, 40)}).subarray(0, 64)
    writeFileSync(join(directory, 'slow.gz'), gzipSync(Buffer.concat([header, Buffer.alloc(110_000_000)]), {level: 1}))
    const program = buildTestProgram('raw-calls', directory)
    const slow = word(CALLABLE_ABIS[0]!, 'finit_module', 'f=slow.gz', 's=', COMPRESSED)
    const sysinfo = word(CALLABLE_ABIS[0]!, 'sysinfo', 'b=128')
    const script = `${program} '${slow}' & sleep .05; ${program} '${sysinfo}'; wait`
    const {decisions} = await runIntercepted(directory, ['sh', '-c', script], {...policy, sysinfo: {}})
    const of = (name: string) => decisions.find(({syscall}) => syscall === name)
    const [long, short] = [of('finit_module'), of('sysinfo')]
    assert.ok(long !== undefined && short !== undefined)
    assert.ok(short.latencyUs < long.latencyUs, `${short.latencyUs} us beside ${long.latencyUs} us`)
  })
})

describe('insmod of Debian in a container', function () {
  this.timeout(60_000)
  skipUnlessPrivileged()
  skipUnless(process.arch === 'x64', 'the module is one of x86_64')
  skipUnlessPrograms('insmod', 'xz', 'zstd', 'wget', 'dpkg-deb')
  const directories = temporaryDirectories()
  let module: Buffer | undefined

  before(function () {
    module = debianModule(directories())
    skipTestUnless(this, module !== undefined, 'the Debian mirror does not answer')
  })

  async function insmod(names: readonly string[], allowed: readonly string[], changes = {}): Promise<InterceptedRun> {
    const directory = directories()
    writeFileSync(join(directory, 'crc32-pclmul.ko'), module!)
    for (const program of ['xz', 'zstd', 'gzip']) execFileSync(program, ['-kq', 'crc32-pclmul.ko'], {cwd: directory})
    execFileSync('mv', ['crc32-pclmul.ko.zst', 'z.ko.zst'], {cwd: directory})
    assert.ok(readdirSync(directory).length >= 4)
    const script = names.map((name) => `insmod ./${name} 2>&1 || true`).join('; ')
    const own = allowed.length === 0 ? {sysinfo: {}} : {modules: {names: allowed}}
    return await runIntercepted(directory, ['sh', '-c', script], own, changes)
  }

  // insmod of Debian unpacks these by itself, and calls init_module.
  const files = ['crc32-pclmul.ko', 'crc32-pclmul.ko.xz', 'z.ko.zst']

  it('M12: has ENOSYS without the flag', async () => {
    const {output} = await insmod(files.slice(0, 1), [], {denyFilter: denyFilter().bytes})
    assert.match(output, /Function not implemented/)
  })

  it('M12: is refused what is not in the list, plain and compressed', async () => {
    const {output, decisions} = await insmod(files, ['other'])
    assert.equal(output.match(/Operation not permitted/g)?.length, files.length, output)
    for (const {hint} of decisions) assert.deepEqual(hint, {flag: '--finit-module', value: 'crc32_pclmul'})
  })

  it('M12: is read by name when the kernel is to unpack it (MODULE_INIT_COMPRESSED_FILE)', async () => {
    const call = (file: string) => word('x86_64', 'finit_module', `f=${file}`, 's=', COMPRESSED)
    const words = ['m.gz', 'm.xz', 'm.zst'].map(call)
    const {answers, decisions} = await inContainer(
      directories(),
      words,
      {modules: {names: ['other']}},
      {
        prepare(directory) {
          writeFileSync(join(directory, 'm'), module!)
          for (const program of ['xz', 'zstd', 'gzip']) execFileSync(program, ['-kq', 'm'], {cwd: directory})
        },
      },
    )
    assert.deepEqual(answers, [String(EPERM), String(EPERM), String(EPERM)])
    for (const {reason} of decisions) assert.equal(reason, 'module crc32_pclmul is not allowlisted')
  })

  it('M12: has the module of the host loaded when it is in the list', async () => {
    const {output, decisions} = await insmod(files, ['crc32_pclmul'])
    const [first] = decisions
    assert.ok(first !== undefined, output)
    if (existsSync('/proc/modules')) assert.ok([0, EEXIST].includes(first.result ?? -first.errno!), output)
    else {
      assert.equal(output.match(/Function not implemented/g)?.length, files.length, output)
      for (const {errno, reason, strategy} of decisions) {
        assert.deepEqual([errno, reason, strategy], [-ENOSYS, "the host's kernel has no loadable modules", 'modprobe'])
      }
    }
  })
})
