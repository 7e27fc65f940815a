// Programs that unpack or copy device nodes, in a container, against what they do as plain root.

import assert from 'node:assert/strict'
import {mkdirSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {hasOrdinaryUser, ordinaryUser} from '../helpers/ordinary-user.js'
import type {OrdinaryUser} from '../helpers/ordinary-user.js'
import {interceptorIn, succeed} from '../helpers/program.js'
import {skipUnless, skipUnlessPrivileged, skipUnlessPrograms} from '../helpers/skip.js'
import {temporaryDirectories} from '../helpers/temporary.js'
import {compareTrees, readTree} from '../helpers/tree.js'

/** Each unpacks or copies ../source, ../source.tar or ../source.cpio into the current directory. */
const UNPACKERS = [
  {program: 'tar', script: 'tar -xpf ../source.tar'},
  {program: 'cpio', script: 'cpio -idm --quiet < ../source.cpio'},
  {program: 'rsync', script: 'rsync -a ../source/ ./'},
  {program: 'cp', script: 'cp -a ../source/. .'},
]

describe('a container of root in which', function () {
  skipUnlessPrivileged()
  skipUnlessPrograms('tar', 'cpio', 'rsync')
  const temporary = temporaryDirectories()
  let top = ''

  before(() => {
    top = temporary()
    const source = join(top, 'source')
    mkdirSync(join(source, 'dev'), {recursive: true})
    writeFileSync(join(source, 'file'), 'content\n')
    const make = `
      mknod -m 666 dev/null c 1 3
      mknod -m 640 dev/zero c 1 5; chown 7:8 dev/zero
      mknod dev/pipe p
      ln -s dev/null link
      chown 1000:1000 file; chmod 4750 file`
    succeed({cwd: source}, 'sh', '-euc', make)
    succeed({cwd: source}, 'sh', '-euc', 'tar -cf ../source.tar . && find . | cpio -o -H newc --quiet > ../source.cpio')
  })

  for (const {program, script} of UNPACKERS) {
    it(`${program} makes the same nodes as plain root`, () => {
      const [plain, contained] = [join(top, `${program}-plain`), join(top, `${program}-contained`)]
      mkdirSync(plain)
      mkdirSync(contained)
      succeed({cwd: plain}, 'sh', '-euc', script)
      const ended = interceptorIn({cwd: top}, 'run', '--mknod', '--', 'sh', '-euc', `cd ${contained}; ${script}`)
      assert.equal(ended.status, 0, ended.stderr)
      assert.deepEqual(compareTrees(readTree(plain), readTree(contained)), [])
      assert.equal(readTree(contained).get('dev/null')?.device, '1:3')
    })
  }

  it('tar fails on a disk, and the trace names the flag', () => {
    succeed({cwd: top}, 'sh', '-euc', 'mkdir disk && mknod disk/sda b 8 0 && tar -cf disk.tar disk && rm -r disk')
    const ended = interceptorIn({cwd: top}, 'run', '--mknod', '--', 'tar', '-xf', 'disk.tar')
    assert.equal(ended.status, 2, ended.stderr)
    assert.match(ended.stderr, /Cannot mknod: Operation not permitted/u)
    assert.match(ended.stderr, /sda", S_IFBLK.* = -1 EPERM {2}refused: .*--mknod-allow b:8:0/u)
  })
})

/** Each unpacks ../tree.tar or ../tree.cpio into the current directory. */
const UNPACKERS_OF_USER = [
  {program: 'tar', script: 'tar -xpf ../tree.tar'},
  {program: 'cpio', script: 'cpio -idm --quiet < ../tree.cpio'},
  {program: 'busybox', script: 'busybox tar -xpf ../tree.tar'},
]

/** Copies of a node show the owner and mode that the bound node has for stat(2), which are the host's. */
const COPIERS = [
  {program: 'cp', script: 'cp -a ../tree/. .'},
  {program: 'rsync', script: 'rsync -aD ../tree/ ./'},
  {program: 'tar', script: 'tar -C ../tree -c . | tar -xp'},
  {program: 'cpio', script: '(cd ../tree && find . | cpio -o -H newc --quiet) | cpio -idm --quiet'},
  {program: 'busybox', script: 'busybox cp -a ../tree/. .'},
]

describe('a container of an ordinary user in which', function () {
  this.timeout(120_000)
  skipUnlessPrivileged()
  skipUnless(hasOrdinaryUser(), 'the set-up has made no ordinary user')
  skipUnlessPrograms('tar', 'cpio', 'rsync', 'busybox', 'newuidmap')
  const temporary = temporaryDirectories()
  let top = ''
  let user: OrdinaryUser

  before(() => {
    top = temporary()
    user = ordinaryUser(top)
    const make = `
      mkdir -p tree/dev tree/sub; cd tree
      mknod -m 666 dev/null c 1 3; mknod -m 620 dev/tty c 5 0; chown 0:5 dev/tty
      mknod dev/console c 5 1; mknod sub/whiteout c 0 0; mkfifo pipe
      echo content > file; chown 1000:1001 file; chmod 4750 file; ln file hard; ln -s file link; chown -h 3:4 link
      chown 8:12 sub; chmod 2775 sub
      tar -cf ../tree.tar .; find . | cpio -o -H newc --quiet > ../tree.cpio`
    succeed(
      {cwd: user.home},
      'sh',
      '-euc',
      `${make}; cd ..; rm -r tree; mkdir tree; chown ${user.uid} tree; chmod 644 tree.*`,
    )
  })

  for (const {program, script} of UNPACKERS_OF_USER) {
    it(`${program} makes what it makes as plain root`, () => {
      const [plain, unpacked] = [`plain-${program}`, `unpacked-${program}`].map((name) => join(top, name))
      mkdirSync(plain!)
      mkdirSync(unpacked!)
      succeed({cwd: plain!}, 'sh', '-euc', script.replaceAll('../', `${user.home}/`))
      const flags = ['--mknod', '--export', `${program}.tar`, '--export-root', program]
      const ended = user.interceptor(
        {},
        'run',
        ...flags,
        '--',
        'sh',
        '-euc',
        `mkdir ${program}; cd ${program}; ${script}`,
      )
      assert.equal(ended.status, 0, ended.stderr)
      succeed({cwd: unpacked!}, 'tar', '-xpf', join(user.home, `${program}.tar`))
      assert.deepEqual(compareTrees(readTree(plain!), readTree(unpacked!)), [])
      assert.equal(readTree(unpacked!).get('sub/whiteout')?.device, '0:0')
    })
  }

  it('a tree is there for the next run', () => {
    const ended = user.interceptor({}, 'run', '--mknod', '--', 'sh', '-euc', 'cd tree; tar -xpf ../tree.tar')
    assert.equal(ended.status, 0, ended.stderr)
    const listed = user.interceptor(
      {},
      'run',
      '--mknod',
      '--',
      'stat',
      '-c',
      '%F %t:%T',
      'tree/dev/null',
      'tree/dev/tty',
    )
    assert.equal(listed.stdout, 'character special file 1:3\ncharacter special file 5:0\n', listed.stderr)
  })

  for (const {program, script} of COPIERS) {
    it(`${program} copies nodes of an earlier run`, () => {
      const copy = `copy-${program}`
      const check =
        'test -c dev/null; echo x > dev/null; test -c dev/tty; test -c sub/whiteout; test -u file; test -p pipe'
      const words = ['sh', '-euc', `mkdir ${copy}; cd ${copy}; ${script}; ${check}; rm -r ../${copy}`]
      // With --setxattr two families take part in what cp does with access lists.
      const families = ['--mknod', ...(program === 'cp' ? ['--setxattr'] : [])]
      const ended = user.interceptor({}, 'run', ...families, '--', ...words)
      assert.equal(ended.status, 0, ended.stderr)
      assert.doesNotMatch(ended.stderr, / {2}(refused|failed)/u)
    })
  }

  it('a static program makes and uses nodes', () => {
    const busybox = [
      'busybox mknod -m 600 n c 1 3; echo x | busybox tee n; busybox chmod 640 n; busybox chown 5:6 n; busybox mv n m',
      'busybox ln m l; busybox touch m; busybox head -c 2 m | busybox wc -c; busybox rm m; busybox stat -c %t:%T l',
    ]
    const words = ['busybox', 'sh', '-euc', `mkdir static; cd static; ${busybox.join('; ')}`]
    const ended = user.interceptor({}, 'run', '--mknod', '--', ...words)
    assert.deepEqual([ended.status, ended.stdout], [0, 'x\n0\n1:3\n'], ended.stderr)
    const recorded = succeed(
      {cwd: user.home},
      'getfattr',
      '--only-values',
      '-n',
      'user.containers.override_stat',
      'static/l',
    )
    assert.equal(recorded, '5:6:0640:char-1-3')
  })
})
