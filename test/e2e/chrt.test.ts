// chrt of this machine's util-linux and of the next one, which calls sched_setattr.

import assert from 'node:assert/strict'

import {unpackPackage} from '../helpers/debian-packages.js'
import {interceptorIn} from '../helpers/program.js'
import {skipTestUnless, skipUnlessPrivileged, skipUnlessPrograms} from '../helpers/skip.js'
import {temporaryDirectories} from '../helpers/temporary.js'

const LIBRARIES = `usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`
const LOADER = process.arch === 'arm64' ? 'ld-linux-aarch64.so.1' : 'ld-linux-x86-64.so.2'

describe('chrt in a container', function () {
  this.timeout(120_000)
  skipUnlessPrivileged()
  skipUnlessPrograms('chrt', 'wget', 'xz', 'dpkg-deb')
  const directory = temporaryDirectories()

  function shows(cwd: string, chrt: string, calls: RegExp): void {
    const script = `C='${chrt}'; sleep 30 & P=$!
      $C -f -p 15 $P; $C -p $P; $C -r 60 true; echo $?; $C -b -p 0 $P; $C -p $P; $C -f -p 5 99999; echo $?; kill $P`
    const {stdout, stderr} = interceptorIn({cwd}, 'run', '--sched-setscheduler', '--', 'sh', '-c', script)
    const policies = stdout.match(/SCHED_\w+|priority: \d+|^\d+$/gmu)
    assert.deepEqual(policies, ['SCHED_FIFO', 'priority: 15', '1', 'SCHED_BATCH', 'priority: 0', '1'], stderr)
    assert.match(stderr, /refused: priority 60 is above 50; --sched-max-priority 60 would allow it/u)
    assert.match(stderr, /99999.* = -1 ESRCH {2}failed/u)
    assert.match(stderr, calls)
  }

  it('B14: changes processes by their numbers in the container', () => {
    shows(directory(), 'chrt', /sched_setscheduler\(\d+, SCHED_BATCH, \[0\]\) = 0/u)
  })

  it('B14: does so by sched_setattr, as util-linux 2.42 has it', function () {
    const cwd = directory()
    const isThere = unpackPackage(cwd, 'testing', /^util-linux$/u) && unpackPackage(cwd, 'testing', /^libc6$/u)
    skipTestUnless(this, isThere, 'the Debian mirror does not answer')
    const chrt = `./${LIBRARIES}/${LOADER} --library-path ./${LIBRARIES} ./usr/bin/chrt`
    shows(cwd, chrt, /sched_setattr\(\d+, \{size=56, sched_policy=SCHED_BATCH, .* = 0/u)
  })
})
