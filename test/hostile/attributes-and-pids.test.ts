// A container that swaps files and processes while attributes are set and priorities are given.

import assert from 'node:assert/strict'
import {execFileSync} from 'node:child_process'
import {chmodSync, readlinkSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {runIntercepted} from '../helpers/intercepted.js'
import {bytes} from '../helpers/launch-plan.js'
import {skipUnlessPrivileged, skipUnlessPrograms} from '../helpers/skip.js'
import {temporaryDirectories} from '../helpers/temporary.js'

const OPAQUE = 'trusted.overlay.opaque'

/** Exchanges two names again and again in one process, while the other asks for what only one of them may have. */
const SWAP = `
import ctypes, os, signal
libc = ctypes.CDLL(None, use_errno=True)
open('own', 'w').close()
os.symlink('/tmp/f', 'link')
os.mkdir('dir'); open('dir/f', 'w').close(); os.symlink('/tmp', 'tmp')
swapper = os.fork()
if swapper == 0:
    while True:
        libc.renameat2(-100, b'own', -100, b'link', 2)
        libc.renameat2(-100, b'dir', -100, b'tmp', 2)
answers = {}
for turn in range(1500):
    for path in ('own', 'link', 'dir/f', 'tmp/f'):
        try:
            os.setxattr(path, '${OPAQUE}', b'y'); answer = 0
        except OSError as error: answer = error.errno
        try: assert os.getxattr(path, '${OPAQUE}') != b'host'
        except OSError: pass
        answers[answer] = answers.get(answer, 0) + 1
os.kill(swapper, signal.SIGKILL)
print(sorted(answers))
`

/** Processes that end at once, while another changes them by their numbers. */
const MORTAL = `
import os, sys
answers = set()
for turn in range(1500):
    child = os.fork()
    if child == 0: os._exit(0)
    for step in range(2):
        try: os.sched_setscheduler(child, os.SCHED_FIFO, os.sched_param(37)); answers.add(0)
        except OSError as error: answers.add(error.errno)
        if step == 0: os.waitpid(child, 0)
print(sorted(answers))
`

describe('a container that swaps what it names', function () {
  this.timeout(60_000)
  skipUnlessPrivileged()
  skipUnlessPrograms('python3', 'setfattr', 'getfattr')
  const directories = temporaryDirectories()

  it('never gets an attribute onto a file of the host, nor sees one of it', async () => {
    const foreign = directories()
    chmodSync(foreign, 0o755)
    writeFileSync(join(foreign, 'f'), '')
    execFileSync('setfattr', ['-n', OPAQUE, '-v', 'host', join(foreign, 'f')])
    const bind = {kind: 'bind', source: bytes(foreign), target: bytes('/tmp'), idmap: false, recursive: false} as const
    const policy = {setxattr: {names: [OPAQUE]}}
    const {end, output, decisions} = await runIntercepted(directories(), ['python3', '-c', SWAP], policy, {}, [
      {...bind, flags: {}},
    ])
    assert.deepEqual(end, {kind: 'exited', status: 0}, output)
    assert.equal(output, '[0, 1]\n')
    assert.deepEqual(new Set(decisions.map(({outcome}) => outcome)), new Set(['emulated', 'refused']))
    const kept = execFileSync('getfattr', ['--absolute-names', '--only-values', '-n', OPAQUE, join(foreign, 'f')], {
      encoding: 'utf8',
    })
    assert.equal(kept, 'host')
  })

  it('B14: gives priorities to nobody else when its processes die', async () => {
    const policy = {sched: {maxPriority: 50}}
    const {end, output} = await runIntercepted(directories(), ['python3', '-c', MORTAL], policy)
    assert.deepEqual(end, {kind: 'exited', status: 0}, output)
    assert.equal(output, '[0, 3]\n')
    // Of the namespace where this test runs: in those of other containers there may be some.
    const words = ['-eLo', 'pidns,cls,rtprio', '--no-headers']
    const tasks = execFileSync('ps', words, {encoding: 'utf8'}).split('\n')
    const own = /\d+/u.exec(readlinkSync('/proc/self/ns/pid'))?.[0]
    assert.ok(tasks.some((task) => new RegExp(`^ *${own} +TS `, 'u').test(task)))
    assert.deepEqual(
      tasks.filter((task) => new RegExp(`^ *${own} +FF +37$`, 'u').test(task)),
      [],
    )
  })
})
