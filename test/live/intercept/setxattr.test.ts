// Trusted attributes in real containers, against what the kernel answers to root outside.

import assert from 'node:assert/strict'
import {execFileSync} from 'node:child_process'
import {chmodSync, chownSync, mkdirSync, symlinkSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {hintText} from '../../../src/intercept/hint.js'
import type {Abi} from '../../../src/kernel/abi.js'
import {runIntercepted} from '../../helpers/intercepted.js'
import {bytes} from '../../helpers/launch-plan.js'
import {CALLABLE_ABIS, inContainer, itOnEachAbi, outside, paired, word} from '../../helpers/raw-calls.js'
import {skipTestUnless, skipUnlessPrivileged, skipUnlessPrograms} from '../../helpers/skip.js'
import {temporaryDirectories} from '../../helpers/temporary.js'

const OPAQUE = 's=trusted.overlay.opaque'
const POLICY = {setxattr: {names: ['trusted.overlay.opaque', 'trusted.two']}}
const [EPERM, ENOENT, EBADF, ENOTDIR, ENODATA, EROFS] = [-1, -2, -9, -20, -61, -30]
const AT_FDCWD = -100
const AT_EMPTY_PATH = 0x1000
const AT_SYMLINK_NOFOLLOW = 0x100
const CAP_SYS_ADMIN = 21
const CLONE_NEWUSER = 0x10000000
const BAD = 8

function files(directory: string): void {
  chmodSync(directory, 0o755)
  mkdirSync(join(directory, 'd'))
  writeFileSync(join(directory, 'f'), '')
  symlinkSync('f', join(directory, 'l'))
  execFileSync('mkfifo', [join(directory, 'pipe')])
}

/** A value of `size` bytes in two 32-bit halves of the second word of struct xattr_args. */
const xattrArgs = (value: string, size: number, flags = 0) => `v=${value},${BigInt(size) | (BigInt(flags) << 32n)}`

const uses = (abi: Abi): readonly string[] => {
  const own = (name: string, ...values: readonly (bigint | number | string)[]) => word(abi, name, ...values)
  return [
    own('setxattr', 's=d', OPAQUE, 's=y', 1, 0),
    own('getxattr', 's=d', OPAQUE, 'b=8', 8),
    own('getxattr', 's=d', OPAQUE, 0, 0),
    own('listxattr', 's=d', 'b=32', 32),
    own('listxattr', 's=d', 0, 0),
    own('setxattr', 's=d', OPAQUE, 's=xyz', 3, 2),
    own('setxattr', 's=d', OPAQUE, 's=y', 1, 1),
    own('setxattr', 's=f', OPAQUE, 's=y', 1, 2),
    own('setxattr', 's=f', OPAQUE, 's=y', 1, 1),
    own('setxattr', 's=l', OPAQUE, 's=link', 4, 0),
    own('getxattr', 's=f', OPAQUE, 'b=8', 8),
    own('lgetxattr', 's=l', OPAQUE, 'b=8', 8),
    own('lsetxattr', 's=l', OPAQUE, 's=self', 4, 0),
    own('lgetxattr', 's=l', OPAQUE, 'b=8', 8),
    own('llistxattr', 's=l', 'b=32', 32),
    own('lremovexattr', 's=l', OPAQUE),
    own('lremovexattr', 's=l', OPAQUE),
    own('fsetxattr', 'f=d', OPAQUE, 's=fd', 2, 0),
    own('fgetxattr', 'f=d', OPAQUE, 'b=8', 8),
    own('flistxattr', 'f=d', 'b=32', 32),
    own('fremovexattr', 'f=d', OPAQUE),
    own('fgetxattr', 'f=d', OPAQUE, 'b=8', 8),
    own('setxattr', 's=pipe', OPAQUE, 's=y', 1, 0),
    own('getxattr', 's=pipe', OPAQUE, 'b=8', 8),
    own('setxattr', 's=d', 's=trusted.two', 's=', 0, 0),
    own('setxattr', 's=d', OPAQUE, 's=', 0, 0),
    own('listxattr', 's=d', 'b=64', 64),
    own('getxattr', 's=d', OPAQUE, 'b=8', 8),
    own('setxattr', 's=d', OPAQUE, 'n=3000', 3000, 0),
    own('getxattr', 's=d', OPAQUE, 'b=3000', 3000),
    own('getxattr', 's=d', OPAQUE, 'b=2999', 2999),
    own('getxattr', 's=d', OPAQUE, 'b=3001', 1n << 40n),
    own('removexattr', 's=d', OPAQUE),
    own('setxattr', 's=f', 's=user.own', 's=v', 1, 0),
    own('listxattr', 's=f', 'b=64', 64),
    own('listxattr', 's=f', 'b=64', 24),
  ]
}

const atUses = (abi: Abi): readonly string[] => {
  const own = (name: string, ...values: readonly (bigint | number | string)[]) => word(abi, name, ...values)
  return [
    own('setxattrat', AT_FDCWD, 's=d', 0, OPAQUE, xattrArgs('s=y', 1), 16),
    own('getxattrat', AT_FDCWD, 's=d', 0, OPAQUE, xattrArgs('b=4', 4), 16),
    own('setxattrat', 'f=.', 's=l', AT_SYMLINK_NOFOLLOW, OPAQUE, xattrArgs('s=link', 4), 16),
    own('listxattrat', 'f=.', 's=l', AT_SYMLINK_NOFOLLOW, 'b=32', 32),
    own('listxattrat', 'f=.', 's=l', 0, 'b=32', 32),
    own('setxattrat', 'f=f', 's=', AT_EMPTY_PATH, OPAQUE, xattrArgs('s=fd', 2, 1), 16),
    own('setxattrat', 'f=f', 0, AT_EMPTY_PATH, OPAQUE, xattrArgs('s=fd', 2, 1), 16),
    own('getxattrat', 'f=f', 0, AT_EMPTY_PATH, OPAQUE, xattrArgs('b=4', 4), 16),
    own('setxattrat', AT_FDCWD, 0, AT_EMPTY_PATH, OPAQUE, xattrArgs('s=cwd', 3), 16),
    own('listxattrat', AT_FDCWD, 's=.', 0, 'b=32', 32),
    own('removexattrat', AT_FDCWD, 0, AT_EMPTY_PATH, OPAQUE),
    own('removexattrat', 'f=.', 's=d', 0, OPAQUE),
    own('removexattrat', 'f=.', 's=d', 0, OPAQUE),
    // Structures of other sizes, and flags.
    own('setxattrat', AT_FDCWD, 's=d', 0, OPAQUE, `${xattrArgs('s=y', 1)},0`, 24),
    own('setxattrat', AT_FDCWD, 's=d', 0, OPAQUE, `${xattrArgs('s=y', 1)},1`, 24),
    own('setxattrat', AT_FDCWD, 's=d', 0, OPAQUE, xattrArgs('s=y', 1), 8),
    own('setxattrat', AT_FDCWD, 's=d', 0, OPAQUE, xattrArgs('s=y', 1), 0),
    own('setxattrat', AT_FDCWD, 's=d', 0, OPAQUE, xattrArgs('s=y', 1), 4097),
    own('setxattrat', AT_FDCWD, 's=d', 0, OPAQUE, xattrArgs('s=y', 1), 24),
    own('setxattrat', AT_FDCWD, 's=d', 0, OPAQUE, BAD, 16),
    own('setxattrat', AT_FDCWD, 's=d', 0, OPAQUE, xattrArgs(String(BAD), 1), 16),
    own('setxattrat', AT_FDCWD, 's=d', 0, OPAQUE, xattrArgs('s=y', 65_537), 16),
    own('setxattrat', AT_FDCWD, 's=d', 0x200, OPAQUE, xattrArgs('s=y', 1), 16),
    own('setxattrat', AT_FDCWD, 's=d', 0, OPAQUE, xattrArgs('s=y', 1, 4), 16),
    own('getxattrat', AT_FDCWD, 's=d', 0, OPAQUE, xattrArgs('b=4', 4, 1), 16),
    own('getxattrat', AT_FDCWD, 's=d', 0x200, OPAQUE, xattrArgs('b=4', 4), 16),
    own('removexattrat', AT_FDCWD, 's=d', 0x200, OPAQUE),
    own('listxattrat', AT_FDCWD, 's=d', 0x200, 'b=4', 4),
    own('setxattrat', 'p=f', 's=', AT_EMPTY_PATH, OPAQUE, xattrArgs('s=y', 1), 16),
    own('setxattrat', 'f=f', 's=', 0, OPAQUE, xattrArgs('s=y', 1), 16),
    own('setxattrat', 'f=f', 0, 0, OPAQUE, xattrArgs('s=y', 1), 16),
    own('setxattrat', -5, 's=', AT_EMPTY_PATH, OPAQUE, xattrArgs('s=y', 1), 16),
    own('setxattrat', 99, 's=d', 0, OPAQUE, xattrArgs('s=y', 1), 16),
  ]
}

const badInput = (abi: Abi): readonly string[] => {
  const own = (name: string, ...values: readonly (bigint | number | string)[]) => word(abi, name, ...values)
  const paths = [
    BAD,
    0,
    's=',
    's=missing',
    's=f/x',
    's=d/../missing/x',
    'n=4095',
    'n=4096',
    'n=1048576',
    'u=100',
    'u=5000',
  ]
  const names = [BAD, 0, 's=', 's=trusted', 's=nothing.x', 's=.', 'n=255', 'n=256', 'u=30', 'n=1048576']
  return [
    own('setxattr', 's=f', OPAQUE, 's=yes', 3, 0),
    ...paths.flatMap((path) => [
      own('setxattr', path, OPAQUE, 's=y', 1, 0),
      own('lgetxattr', path, OPAQUE, 'b=4', 4),
      own('listxattr', path, 'b=4', 4),
      own('removexattr', path, OPAQUE),
    ]),
    ...names.flatMap((name) => [
      own('setxattr', 's=d', name, 's=y', 1, 0),
      own('getxattr', 's=d', name, 'b=4', 4),
      own('removexattr', 's=d', name),
    ]),
    own('setxattr', 's=f', OPAQUE, BAD, 1, 0),
    own('setxattr', 's=f', OPAQUE, 0, 1, 0),
    own('setxattr', 's=f', OPAQUE, 'u=10', 11, 0),
    own('setxattr', 's=f', OPAQUE, 's=y', 65_537, 0),
    own('setxattr', 's=f', OPAQUE, 's=y', 1n << 31n, 0),
    own('setxattr', 's=f', OPAQUE, 's=y', (1n << 64n) - 1n, 0),
    own('setxattr', 's=f', OPAQUE, 's=y', 1, 4),
    own('setxattr', 's=f', OPAQUE, 's=y', 1, -1),
    own('setxattr', 's=missing', OPAQUE, BAD, 1, 4),
    own('setxattr', 's=missing', OPAQUE, BAD, 1, 0),
    own('setxattr', 's=f', OPAQUE, 's=y', 1, 3),
    own('getxattr', 's=f', OPAQUE, BAD, 4),
    own('getxattr', 's=f', OPAQUE, 'r=4', 4),
    own('getxattr', 's=f', OPAQUE, 'b=2', 2),
    own('getxattr', 's=f', OPAQUE, 'b=4', -1),
    own('listxattr', 's=f', BAD, 64),
    own('listxattr', 's=f', 'r=64', 64),
    own('listxattr', 's=f', 'b=4', 4),
    own('listxattr', 's=f', 'b=64', -1),
    ...[99, -1, 'p=f', 1n << 31n].flatMap((fd) => [
      own('fsetxattr', fd, OPAQUE, 's=y', 1, 0),
      own('fgetxattr', fd, OPAQUE, 'b=4', 4),
      own('flistxattr', fd, 'b=4', 4),
      own('fremovexattr', fd, OPAQUE),
    ]),
    // The last look: nothing of all this has changed anything.
    own('getxattr', 's=f', OPAQUE, 'b=4', 4),
  ]
}

describe('setxattr in a container', function () {
  this.timeout(120_000)
  skipUnlessPrivileged()
  skipUnlessPrograms('cc', 'mkfifo')
  const directories = temporaryDirectories()

  async function sameAsRoot(words: readonly string[]) {
    const options = {prepare: files}
    const expected = outside(directories(), words, options)
    const outcome = await inContainer(directories(), words, POLICY, options)
    assert.deepEqual(paired(words, outcome.answers), paired(words, expected))
    return outcome
  }

  itOnEachAbi('B7: sets, reads, lists and removes by every variant as root does', async (abi) => {
    const {decisions} = await sameAsRoot(uses(abi))
    const [first] = decisions
    assert.equal(first?.strategy, 'trusted')
    assert.deepEqual(first.created?.['value'], bytes('y'))
  })

  itOnEachAbi('B7: serves the calls of Linux 6.13 with their structure', async (abi, context) => {
    const [probe] = outside(directories(), [word(abi, 'listxattrat', AT_FDCWD, 's=.', 0, 0, 0)])
    skipTestUnless(context, probe !== '-38', 'this kernel has no listxattrat')
    await sameAsRoot(atUses(abi))
  })

  itOnEachAbi("gives the kernel's own errno for bad input", async (abi) => {
    const {silent} = await sameAsRoot(badInput(abi))
    assert.ok((silent['setxattr'] ?? 0) > 0)
  })

  it('M1: keeps what was set on the disk of the host', async () => {
    const words = [word('x86_64', 'setxattr', 's=d', OPAQUE, 's=y', 1, 0)]
    const {directory} = await inContainer(directories(), words, POLICY, {prepare: files})
    const [, hex] = outside(directory, [word('x86_64', 'getxattr', 's=d', OPAQUE, 'b=1', 1)])[0]!.split(' ')
    assert.equal(hex, '79')
  })

  const set = word(CALLABLE_ABIS[0]!, 'setxattr', 's=f', OPAQUE, 's=y', 1, 0)
  const get = word(CALLABLE_ABIS[0]!, 'getxattr', 's=f', OPAQUE, 'b=1', 1)
  const list = word(CALLABLE_ABIS[0]!, 'listxattr', 's=f', 'b=64', 64)

  it('B7: refuses a user, a caller without CAP_SYS_ADMIN and a nested user namespace', async () => {
    for (const change of ['ids|1000|1000', `drop|${CAP_SYS_ADMIN}`, `unshare|${CLONE_NEWUSER}`]) {
      const {answers} = await inContainer(directories(), [set, change, set, get, list], POLICY, {prepare: files})
      assert.equal(answers[2], String(EPERM), change)
      assert.match(answers[3]!, new RegExp(`^${ENODATA} `), change)
      assert.match(answers[4]!, /^0 /, change)
    }
  })

  it('acts for a thread with its own rights', async () => {
    const words = ['thread', set, 'ids|1000|1000', set]
    const {answers} = await inContainer(directories(), words, POLICY, {prepare: files})
    assert.deepEqual(answers, ['0', '0', '0', String(EPERM)])
  })

  it('refuses names that are not allowlisted, with the flag that allows them', async () => {
    const words = [
      word(CALLABLE_ABIS[0]!, 'setxattr', 's=f', 's=trusted.overlay.redirect', 's=y', 1, 0),
      word(CALLABLE_ABIS[0]!, 'setxattr', 's=f', 's=trusted.overlay.opaque2', 's=y', 1, 0),
      word(CALLABLE_ABIS[0]!, 'setxattr', 's=f', 's=security.interceptor', 's=y', 1, 0),
    ]
    const {answers, decisions} = await inContainer(directories(), words, POLICY, {prepare: files})
    assert.deepEqual(answers, [String(EPERM), String(EPERM), String(EPERM)])
    assert.deepEqual(
      decisions.map(({hint}) => hint && hintText(hint)),
      [
        '--setxattr-allow trusted.overlay.redirect would allow it',
        '--setxattr-allow trusted.overlay.opaque2 would allow it',
      ],
    )
  })

  it('gives the errno that the kernel finds before it asks for permission', async () => {
    const refused = 's=trusted.overlay.redirect'
    const abi = CALLABLE_ABIS[0]!
    const words = [
      word(abi, 'setxattr', 's=none', refused, 's=y', 1, 0),
      word(abi, 'setxattr', 's=f/x', refused, 's=y', 1, 0),
      word(abi, 'removexattr', 's=none', refused),
      word(abi, 'fsetxattr', 999, refused, 's=y', 1, 0),
      word(abi, 'fremovexattr', 999, refused),
      word(abi, 'lsetxattr', 's=/usr/bin/env', refused, 's=y', 1, 0),
      word(abi, 'setxattr', 's=f', refused, 's=y', 1, 0),
    ]
    const {answers, decisions} = await inContainer(directories(), words, POLICY, {prepare: files})
    assert.deepEqual(answers, [ENOENT, ENOTDIR, ENOENT, EBADF, EBADF, EROFS, EPERM].map(String))
    assert.deepEqual(
      decisions.map(({outcome}) => outcome),
      [...Array<string>(6).fill('failed'), 'refused'],
    )
  })

  it('never touches files that belong to nobody in the container, nor shows their attributes', async () => {
    const foreign = directories()
    chmodSync(foreign, 0o755)
    writeFileSync(join(foreign, 'f'), '')
    writeFileSync(join(foreign, 'group'), '')
    chownSync(join(foreign, 'group'), 100_000, 0)
    const hostSet = word(CALLABLE_ABIS[0]!, 'setxattr', 's=f', OPAQUE, 's=h', 1, 0)
    outside(foreign, [hostSet])
    const at = (path: string) => [
      word(CALLABLE_ABIS[0]!, 'setxattr', `s=${path}`, OPAQUE, 's=y', 1, 0),
      word(CALLABLE_ABIS[0]!, 'removexattr', `s=${path}`, OPAQUE),
      word(CALLABLE_ABIS[0]!, 'getxattr', `s=${path}`, OPAQUE, 'b=1', 1),
      word(CALLABLE_ABIS[0]!, 'listxattr', `s=${path}`, 'b=1', 1),
    ]
    const words = [...at('/tmp/f'), ...at('/tmp/group'), ...at('/usr/bin/env')]
    const bind = {kind: 'bind', source: bytes(foreign), target: bytes('/tmp'), idmap: false, recursive: false} as const
    const {answers} = await inContainer(directories(), words, POLICY, {steps: [{...bind, flags: {}}]})
    const none = [`${ENODATA} 00`, '0 00']
    assert.deepEqual(answers, [
      ...[String(EPERM), String(EPERM), ...none],
      ...[String(EPERM), String(EPERM), ...none],
      ...[String(EROFS), String(EROFS), ...none],
    ])
    assert.deepEqual(outside(foreign, [get]), ['1 68'])
  })
})

describe('programs that use extended attributes in a container', function () {
  this.timeout(60_000)
  skipUnlessPrivileged()
  skipUnlessPrograms('setfattr', 'getfattr', 'tar', 'cp')
  const directories = temporaryDirectories()

  it('carry trusted attributes over with tar, cp and getfattr --restore', async () => {
    const script = `set -e
      mkdir a; setfattr -n trusted.overlay.opaque -v y a; setfattr -n user.u -v 1 a
      tar --xattrs --xattrs-include='*' -cf t.tar a; mkdir b; tar --xattrs --xattrs-include='*' -xf t.tar -C b
      cp -a a c
      getfattr --absolute-names -d -m - a > d; rm -r a; mkdir a; setfattr --restore=d
      getfattr -d -m - a b/a c; setfattr -x trusted.overlay.opaque a; getfattr -d -m - a`
    const {end, output} = await runIntercepted(directories(), ['sh', '-c', script], POLICY)
    const both = 'trusted.overlay.opaque="y"\nuser.u="1"\n'
    assert.deepEqual(end, {kind: 'exited', status: 0}, output)
    assert.equal(output, `# file: a\n${both}\n# file: b/a\n${both}\n# file: c\n${both}\n# file: a\nuser.u="1"\n\n`)
  })
})
