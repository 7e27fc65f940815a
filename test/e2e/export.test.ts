// --export: a tree made in a container, by root or by an ordinary user, is in its archive what plain root makes of it.

import assert from 'node:assert/strict'
import {existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {hasOrdinaryUser, ordinaryUser} from '../helpers/ordinary-user.js'
import type {OrdinaryUser} from '../helpers/ordinary-user.js'
import {hasProgram, interceptorIn, programIn, succeed} from '../helpers/program.js'
import type {Ended, Surroundings} from '../helpers/program.js'
import {skipUnless, skipUnlessPrivileged, skipUnlessPrograms} from '../helpers/skip.js'
import {temporaryDirectories} from '../helpers/temporary.js'
import {compareTrees, readTree} from '../helpers/tree.js'

const optional = (program: string, script: string): string => (hasProgram(program) ? script : '')

/** Everything that an archive can get wrong. */
const MAKE = `
umask 022
mkdir tree; cd tree
mkdir -p dev deep/$(printf 'd%.0s' $(seq 120))/$(printf 'e%.0s' $(seq 200))
printf content > file; chown 1000:1000 file; chmod 4755 file; ln file hard
mkdir -m 2775 shared; chgrp 50 shared; mkdir -m 1777 tmp; chmod 750 .
mkdir foreign; : > foreign/file; chown -R 33:33 foreign
ln -s ../$(printf 'l%.0s' $(seq 150)) link; chown -h 5:6 link
mkfifo -m 600 pipe
mknod whiteout c 0 0
mknod -m 666 dev/null c 1 3; mknod -m 620 dev/tty0 c 5 0; chown 0:5 dev/tty0; mv dev/tty0 dev/tty
mknod dev/console c 5 1; chmod 600 dev/console; chown 7:8 dev/console; chmod u+s dev/console
mknod dev/gone c 1 5; rm dev/gone; mknod dev/full c 1 7; ln dev/full dev/again; rm dev/full
printf long > $(printf 'n%.0s' $(seq 255)); (cd deep/d*/e*; printf x > $(printf 'f%.0s' $(seq 90)))
printf x > "$(printf 'not-utf8-\\377')"; printf x > "$(printf 'line\\nfeed')"; ln -s "$(printf '\\376')" bytes
truncate -s 150M sparse; printf middle | dd of=sparse bs=1 seek=50000000 conv=notrunc status=none
: > empty; chmod 0 empty; printf secret > secret; chmod 0 secret; chown 60000:60001 secret
setfattr -n user.note -v 0xff00 file; setfattr -n user.a=b -v x file; setfattr -n user.empty empty
mkdir opaque; setfattr -n trusted.overlay.opaque -v y opaque
${optional('setcap', 'cp /bin/true capable; setcap cap_net_raw+ep capable')}
${optional('setfacl', 'setfacl -m u:1000:rw,g:7:r file; setfacl -d -m u:5:rx shared')}
touch -d @1 secret
`

interface Starter {
  readonly who: string
  readonly run: (surroundings: Surroundings, ...args: string[]) => Ended
}

describe('an archive of --export', function () {
  this.timeout(300_000)
  skipUnlessPrivileged()
  skipUnless(hasOrdinaryUser(), 'the set-up has made no ordinary user')
  skipUnlessPrograms('tar', 'setfattr', 'newuidmap')
  const temporary = temporaryDirectories()
  let top = ''
  let user: OrdinaryUser
  const starters: readonly Starter[] = [
    {who: 'root', run: (surroundings, ...args) => interceptorIn({cwd: join(top, 'root'), ...surroundings}, ...args)},
    {who: 'an ordinary user', run: (surroundings, ...args) => user.interceptor(surroundings, ...args)},
  ]

  before(() => {
    top = temporary()
    user = ordinaryUser(top)
    mkdirSync(join(top, 'root'))
    mkdirSync(join(top, 'plain'))
    succeed({cwd: join(top, 'plain')}, 'sh', '-euc', MAKE)
  })

  /** What root gets out of an archive, with everything that tar can restore. */
  const unpack = (archive: string, name: string): string => {
    const directory = join(top, name)
    mkdirSync(directory)
    succeed({}, 'tar', '-C', directory, '--xattrs', '--xattrs-include=*', '--acls', '-xpf', archive)
    return directory
  }

  for (const [index, {who, run}] of starters.entries()) {
    const home = (): string => (index === 0 ? join(top, 'root') : user.home)

    it(`has the tree of plain root when ${who} makes it`, () => {
      const flags = ['--mknod', '--setxattr', '--manifest', 'manifest', '--export', 'tree.tar', '--export-root', 'tree']
      const ended = run({}, 'run', ...flags, '--', 'sh', '-euc', MAKE)
      assert.equal(ended.status, 0, ended.stderr)
      assert.doesNotMatch(ended.stderr, / {2}(refused|failed)/u)
      const archive = join(home(), 'tree.tar')
      assert.ok(statSync(archive).size < 10_000_000, 'holes are not written')
      const unpacked = unpack(archive, `unpacked-${index}`)
      assert.deepEqual(compareTrees(readTree(join(top, 'plain', 'tree')), readTree(unpacked)), [])
      assert.equal(statSync(join(unpacked, 'secret')).mtimeMs, 1000)
      assert.ok(statSync(join(unpacked, 'sparse')).blocks < 1000)
    })

    it(`is the same after a later run that ${who} starts on the tree`, () => {
      const script = 'test -c tree/dev/null && echo x > tree/dev/null && chmod 644 tree/dev/again && mv tree moved'
      const flags = ['--mknod', '--setxattr', '--export', '-', '--export-root', 'moved']
      const archive = join(top, `later-${index}.tar`)
      const words = ['sh', '-euc', `echo out; ${script}`]
      const ended = run({encoding: 'latin1'}, 'run', ...flags, '--', ...words)
      assert.equal(ended.status, 0, ended.stderr)
      assert.match(ended.stderr, /^out$/mu)
      writeFileSync(archive, ended.stdout, 'latin1')
      const unpacked = readTree(unpack(archive, `later-${index}`))
      const expected = new Map(readTree(join(top, 'plain', 'tree')))
      expected.set('dev/again', {...expected.get('dev/again')!, mode: '644'})
      assert.deepEqual(compareTrees(expected, unpacked), [])
    })

    it(`is not written when the command of ${who} fails`, () => {
      const ended = run({}, 'run', '--export', 'failed.tar', '--export-root', 'moved', '--', 'false')
      assert.equal(ended.status, 1)
      assert.match(ended.stderr, /nothing is exported/u)
      assert.equal(existsSync(join(home(), 'failed.tar')), false)
    })

    it(`never follows what the command of ${who} puts in place of the tree`, () => {
      const ended = run({}, 'run', '--export', 'etc.tar', '--export-root', 'link', '--', 'ln', '-s', '/etc', 'link')
      assert.equal(ended.status, 125)
      assert.match(ended.stderr, /cannot export link/u)
      assert.deepEqual(
        readdirSync(home()).filter((name) => name === 'etc.tar' || name.startsWith('.interceptor')),
        [],
      )
    })

    it(`makes no device of a record that the command of ${who} has forged`, () => {
      const forge =
        'mkdir forged; cd forged; : > sda; : > null; setfattr -n user.containers.override_stat -v 0:0:0666:block-8-0 sda; ' +
        'setfattr -n user.containers.override_stat -v 0:0:0666:char-1-3 null; echo full > full; ' +
        'setfattr -n user.containers.override_stat -v 0:0:0666:char-1-3 full'
      const ended = run({}, 'run', '--mknod', '--export', 'f.tar', '--export-root', 'forged', '--', 'sh', '-euc', forge)
      assert.equal(ended.status, 0, ended.stderr)
      assert.match(ended.stderr, /--mknod-allow b:8:0/u)
      const listed = succeed({cwd: home()}, 'tar', '-tvf', 'f.tar')
      assert.deepEqual(
        listed.match(/^[bc-].*$/gmu)?.map((line) => `${line[0]} ${line.split('./')[1]}`),
        ['- full', 'c null', '- sda'],
      )
    })
  }

  it('of an ordinary user is removed with all that only its ids can remove', () => {
    assert.notEqual(
      programIn({}, 'runuser', '-u', 'interceptor-test', '--', 'rm', '-rf', join(user.home, 'moved')).status,
      0,
    )
    const ended = user.interceptor({}, 'run', '--', 'rm', '-rf', 'moved')
    assert.deepEqual(ended, {status: 0, signal: null, stdout: '', stderr: ''})
    assert.equal(existsSync(join(user.home, 'moved')), false)
  })

  it('can be what another archive is made of: the archive itself is left out', () => {
    const directory = join(top, 'root', 'self')
    mkdirSync(directory)
    writeFileSync(join(directory, 'file'), 'x')
    writeFileSync(join(directory, 'self.tar'), 'an older one')
    const words = ['--export', 'self/self.tar', '--export-root', 'self', '--', 'true']
    const ended = interceptorIn({cwd: join(top, 'root')}, 'run', ...words)
    assert.equal(ended.status, 0, ended.stderr)
    assert.equal(statSync(join(directory, 'self.tar')).isFile(), true)
    assert.doesNotMatch(succeed({cwd: directory}, 'tar', '-tf', 'self.tar'), /interceptor/u)
    assert.equal(readFileSync(join(directory, 'file'), 'utf8'), 'x')
  })
})
