// Programs that unpack or copy device nodes, in a container, against what they do as plain root.

import assert from 'node:assert/strict'
import {mkdirSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {interceptorIn, succeed} from '../helpers/program.js'
import {skipUnlessPrivileged, skipUnlessPrograms} from '../helpers/skip.js'
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
