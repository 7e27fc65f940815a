// The main job: a Debian tree made in the container is the tree that root makes.

import assert from 'node:assert/strict'
import {existsSync, mkdirSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {DIFFERS_BETWEEN_RUNS, debootstrap, mirrorAnswers} from '../helpers/debian.js'
import type {Ended} from '../helpers/program.js'
import {hasOrdinaryUser, ordinaryUser} from '../helpers/ordinary-user.js'
import type {OrdinaryUser} from '../helpers/ordinary-user.js'
import {interceptorIn, succeed} from '../helpers/program.js'
import {skipTestUnless, skipUnlessPrivileged, skipUnlessPrograms} from '../helpers/skip.js'
import {temporaryDirectories} from '../helpers/temporary.js'
import {compareTrees, readTree} from '../helpers/tree.js'

const LIMIT_MS = 10 * 60_000
/** What debootstrap's setup_devices_simple makes: name, mode and numbers. */
const NODES = [
  ['null', '666', '1:3'],
  ['zero', '666', '1:5'],
  ['full', '666', '1:7'],
  ['random', '666', '1:8'],
  ['urandom', '666', '1:9'],
  ['tty', '666', '5:0'],
  ['ptmx', '666', '5:2'],
  ['console', '666', '5:1'],
] as const

/** Calls of every family, and some that none takes; the rest runs at full speed. */
const TRACED = 'mknod,mknodat,mount,umount2,sysinfo,bpf,chown,fchownat,setxattr,lsetxattr,fsetxattr,getxattr,listxattr'

function strace(file: string): [string, ...string[]] {
  return ['strace', '-f', '--seccomp-bpf', '-e', `trace=${TRACED}`, '-o', file]
}

describe('debootstrap in a container', function () {
  this.timeout(LIMIT_MS)
  skipUnlessPrivileged()
  skipUnlessPrograms('debootstrap', 'strace', 'wget')
  const temporary = temporaryDirectories()
  const ours = {ended: undefined as Ended | undefined, directory: ''}
  const theirs = {ended: undefined as Ended | undefined, user: undefined as OrdinaryUser | undefined}

  before(function () {
    skipTestUnless(this, mirrorAnswers(), 'no Debian mirror can be reached')
    ours.directory = temporary()
    const cache = join(ours.directory, 'cache')
    mkdirSync(cache)
    const surroundings = {cwd: ours.directory, timeoutMs: LIMIT_MS}
    // The same packages serve both runs, which is kind to the mirror.
    succeed(surroundings, ...strace('plain.strace'), ...debootstrap(cache, 'plain'))
    ours.ended = interceptorIn(surroundings, 'run', '--mknod', '--sysinfo', '--', ...debootstrap(cache, 'contained'))
    if (hasOrdinaryUser()) theirs.ended = runAsOrdinaryUser(cache)
  })

  function runAsOrdinaryUser(cache: string): Ended {
    const user = ordinaryUser(temporary())
    theirs.user = user
    succeed({cwd: user.home}, 'sh', '-c', `cp -r ${cache} . && chown -R ${user.uid}:${user.gid} cache`)
    const flags = ['--mknod', '--sysinfo', '--export', 'rootfs.tar', '--export-root', 'rootfs']
    const words = debootstrap(join(user.home, 'cache'), 'rootfs')
    return user.interceptor({timeoutMs: LIMIT_MS}, 'run', ...flags, '--', ...words)
  }

  it('is what explain advises from the trace of a plain run, and no more', () => {
    const surroundings = {cwd: ours.directory, timeoutMs: LIMIT_MS}
    const {stdout, status} = interceptorIn(surroundings, 'explain', '--strace', 'plain.strace')
    assert.equal(status, 1)
    assert.deepEqual(stdout.trimEnd().split('\n').slice(-3), [
      'All would be performed with: --mknod',
      '',
      'Optional, for what the kernel answers by itself otherwise: --sysinfo',
    ])
  })

  it('ends well', () => {
    assert.equal(ours.ended?.status, 0, ours.ended?.stderr)
    assert.match(ours.ended.stdout, /Base system installed successfully/u)
  })

  it('makes the same tree as plain root', () => {
    const [expected, actual] = ['plain', 'contained'].map((name) => readTree(join(ours.directory, name)))
    assert.ok(expected !== undefined && actual !== undefined)
    assert.ok(expected.size > 5000, `only ${expected.size} entries`)
    assert.deepEqual(compareTrees(expected, actual, DIFFERS_BETWEEN_RUNS), [])
  })

  it('makes real device nodes', () => {
    const dev = readTree(join(ours.directory, 'contained', 'dev'))
    for (const [name, mode, device] of NODES) {
      assert.deepEqual(dev.get(name), {type: 'character device', mode, owner: '0:0', device}, name)
    }
  })

  it('shows each device node in the trace', () => {
    const stderr = ours.ended?.stderr ?? ''
    for (const [name, , device] of NODES) {
      const [major, minor] = device.split(':')
      const line = `mknod(at)?\\(.*/dev/${name}", S_IFCHR\\|0\\d+, makedev\\(${major}, ${minor}\\)\\) = 0 {2}emulated \\(node, `
      assert.match(stderr, new RegExp(line, 'u'))
    }
  })

  it('is refused nothing', () => {
    assert.doesNotMatch(ours.ended?.stderr ?? '', /^interceptor: .* {2}(refused|failed)/mu)
  })

  describe('of an ordinary user', () => {
    before(function () {
      skipTestUnless(this, theirs.ended !== undefined, 'the set-up has made no ordinary user')
    })

    it('ends well', () => {
      assert.equal(theirs.ended?.status, 0, theirs.ended?.stderr)
      assert.match(theirs.ended.stdout, /Base system installed successfully/u)
      assert.doesNotMatch(theirs.ended.stderr, /^interceptor: .* {2}(refused|failed)/mu)
    })

    it('is exported as the tree of plain root', () => {
      const unpacked = join(ours.directory, 'unpacked')
      mkdirSync(unpacked)
      const flags = ['--xattrs', '--xattrs-include=*', '--acls', '--numeric-owner']
      succeed({}, 'tar', '-C', unpacked, ...flags, '-xpf', join(theirs.user!.home, 'rootfs.tar'))
      const expected = readTree(join(ours.directory, 'plain'))
      assert.deepEqual(compareTrees(expected, readTree(unpacked), DIFFERS_BETWEEN_RUNS), [])
    })

    it('leaves a tree into which apt-get installs a package whose script makes nodes', () => {
      const user = theirs.user!
      buildPackage(user.home)
      const binds = ['--rootfs', 'rootfs', '--bind', 'maker.deb:/maker.deb:ro', '--export', 'installed.tar']
      const words = ['apt-get', 'install', '--yes', '--no-install-recommends', '/maker.deb']
      const ended = user.interceptor({timeoutMs: LIMIT_MS}, 'run', '--mknod', ...binds, '--', ...words)
      assert.equal(ended.status, 0, ended.stdout + ended.stderr)
      assert.doesNotMatch(ended.stderr, /^interceptor: .* {2}(refused|failed)/mu)
      const listed = succeed({cwd: user.home}, 'tar', '--numeric-owner', '-tvf', 'installed.tar')
      const nodes = listed.match(/^[bc].* \.\/srv\/dev\/.*$/gmu)?.map((line) => line.replace(/ +/gu, ' '))
      assert.deepEqual(
        nodes?.map((line) => line.replace(/ \S+ \S+ \.\/srv/u, ' srv')),
        ['crw-r----- 0/5 1,5 srv/dev/made', 'crw-rw-rw- 0/0 5,0 srv/dev/tty', 'crw-rw-rw- 0/0 1,5 srv/dev/zero'],
      )
    })

    it('leaves a tree on whose nodes a later run works', () => {
      const script = 'cd rootfs/dev && echo x > null && head -c 3 zero | wc -c && stat -c %F tty && rm random'
      const {status, stdout, stderr} = theirs.user!.interceptor({}, 'run', '--mknod', '--', 'sh', '-euc', script)
      assert.deepEqual([status, stdout], [0, '3\ncharacter special file\n'], stderr)
      assert.equal(theirs.user!.interceptor({}, 'run', '--', 'rm', '-rf', 'rootfs').status, 0)
      assert.equal(existsSync(join(theirs.user!.home, 'rootfs')), false)
    })
  })
})

/** A package without content, whose script does what MAKEDEV does. */
function buildPackage(directory: string): void {
  const control = join(directory, 'maker', 'DEBIAN')
  mkdirSync(control, {recursive: true})
  const fields = ['Package: maker', 'Version: 1', 'Architecture: all', 'Maintainer: nobody <nobody@example.org>']
  writeFileSync(join(control, 'control'), `${[...fields, 'Description: makes device nodes'].join('\n')}\n`)
  const script = `#!/bin/sh
set -e
mkdir -p /srv/dev
cd /srv/dev
makedev() {
  mknod "$1-" c "$2" "$3"
  chown root:"$5" "$1-"
  chmod "$4" "$1-"
  mv "$1-" "$1"
}
makedev zero 1 5 0666 root
makedev tty 5 0 0666 root
makedev made 1 5 0640 tty
makedev gone 1 3 0666 root
test -c made
echo x > gone
rm gone
`
  writeFileSync(join(control, 'postinst'), script, {mode: 0o755})
  succeed({cwd: directory}, 'dpkg-deb', '--root-owner-group', '--build', 'maker')
}
