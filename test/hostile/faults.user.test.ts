// The same as faults.test.ts where an ordinary user's supervisor keeps nodes and attributes in files of that user.

import {constants} from 'node:os'
import {mkdirSync} from 'node:fs'
import {join} from 'node:path'

import {callsOf, itFaults, runWithFault} from '../helpers/faults.js'
import {skipUnlessPrograms, skipUnlessRootless} from '../helpers/skip.js'
import {temporaryDirectories} from '../helpers/temporary.js'

describe("calls into C that fail in an ordinary user's run", () => {
  skipUnlessRootless()
  skipUnlessPrograms('python3', 'newuidmap')
  const temporary = temporaryDirectories()
  const work = () => {
    const cwd = join(temporary(), 'work')
    mkdirSync(cwd)
    return cwd
  }

  it('end it in words, and leave nothing', function () {
    this.timeout(120_000)
    const cwd = work()
    const words = ['run', '--quiet', '--no-config', '--mknod', '--', 'sh', '-c', 'rm -f n; mknod n c 1 3']
    for (const fault of callsOf(cwd, words)) runWithFault(cwd, fault, constants.errno.EIO, words)
  })

  itFaults('make mknod fail, or have no effect on it', work, {
    flags: ['--mknod'],
    count: 80,
    // Each node keeps its record open.
    kept: 88,
    call: `
def call(i): os.mknod(f'n{i}', 0o020600, os.makedev(1, 3))
def effect(i): return os.path.lexists(f'n{i}')`,
  })

  itFaults('make setxattr fail, or have no effect on it', work, {
    flags: ['--setxattr'],
    count: 60,
    call: `
for i in range(1, 61): open(f'f{i}', 'w').close()
def call(i): os.setxattr(f'f{i}', 'trusted.overlay.opaque', b'y')
def effect(i): return libc.llistxattr(f'f{i}'.encode(), None, 0) > 0`,
  })
})
