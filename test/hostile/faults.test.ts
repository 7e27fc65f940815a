// Calls into C that fail, wherever they may: no run ends in a bug's words, no answer is untrue, nothing is left.

import assert from 'node:assert/strict'
import {chmodSync, existsSync, mkdirSync, readdirSync, rmSync} from 'node:fs'
import {constants} from 'node:os'
import {join} from 'node:path'

import {callsOf, itFaults, runWithFault} from '../helpers/faults.js'
import {descendantsOf, until} from '../helpers/processes.js'
import {succeed} from '../helpers/program.js'
import {runningContainers} from '../helpers/running.js'
import {skipUnlessPrivileged, skipUnlessPrograms} from '../helpers/skip.js'
import {temporaryDirectories} from '../helpers/temporary.js'

const {EIO, EMFILE} = constants.errno

describe('calls into C that fail', () => {
  skipUnlessPrivileged()
  skipUnlessPrograms('python3', 'mkfs.ext4')
  const temporary = temporaryDirectories()
  const start = runningContainers()
  const work = () => {
    const cwd = join(temporary(), 'work')
    mkdirSync(cwd)
    chmodSync(cwd, 0o700)
    return cwd
  }

  it('end a run in words, and leave nothing', function () {
    this.timeout(120_000)
    const cwd = work()
    const words = ['run', '--quiet', '--no-config', '--mknod', '--', 'sh', '-c', 'rm -f n; mknod n c 1 3']
    for (const [index, fault] of callsOf(cwd, words).entries())
      runWithFault(cwd, fault, index % 2 ? EIO : EMFILE, words)
  })

  it('end an export in words, with an archive or without one', function () {
    this.timeout(120_000)
    const cwd = work()
    mkdirSync(join(cwd, 'tree'))
    const archive = join(cwd, '..', 'tree.tar')
    const flags = ['--quiet', '--no-config', '--export', archive, '--export-root', 'tree']
    const words = ['run', ...flags, '--', 'touch', 'tree/file']
    for (const fault of callsOf(cwd, words)) {
      rmSync(archive, {force: true})
      const {status} = runWithFault(cwd, fault, EIO, words)
      // What is there is whole.
      if (existsSync(archive)) assert.match(succeed({}, 'tar', '-tf', archive), /^\.\/file$/mu)
      else assert.notEqual(status, 0)
      assert.deepEqual(
        readdirSync(join(cwd, '..')).filter((name) => name.includes('tree.tar') && name !== 'tree.tar'),
        [],
      )
    }
  })

  it('end a command of exec in words, and leave its container as it is', async function () {
    this.timeout(120_000)
    const cwd = work()
    const {name, supervisor} = await start(cwd, ['--mknod'])
    const words = ['exec', '--quiet', name, 'sh', '-c', 'rm -f n; mknod n c 1 3']
    const processes = () => descendantsOf(supervisor.pid).length
    const before = processes()
    for (const fault of callsOf(cwd, words)) {
      runWithFault(cwd, fault, EIO, words)
      await until(() => processes() === before, 'what exec started has ended')
    }
    assert.equal(supervisor.exitCode, null)
  })

  itFaults('make mknod fail, or have no effect on it', work, {
    flags: ['--mknod'],
    count: 60,
    call: `
def call(i): os.mknod(f'n{i}', 0o020600, os.makedev(1, 3))
def effect(i): return os.path.lexists(f'n{i}')`,
  })

  itFaults('make sched_setscheduler fail, or have no effect on it', work, {
    flags: ['--sched-setscheduler'],
    count: 60,
    call: `
def call(i): os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1 + i % 40))
def effect(i): return os.sched_getscheduler(0) == os.SCHED_RR and os.sched_getparam(0).sched_priority == 1 + i % 40`,
  })

  itFaults('make sysinfo fail, or have no effect on it', work, {
    flags: ['--sysinfo'],
    count: 40,
    call: `
memory = ctypes.create_string_buffer(256)
def call(i):
    ctypes.memset(memory, 0, 256)
    check(libc.sysinfo(memory))
def effect(i): return memory.raw[:8] != bytes(8)`,
  })

  itFaults('make mount fail, or have no effect on it', work, {
    flags: ['--mount-allowed', 'ext4', '--mount-source', 'image'],
    count: 160,
    kept: 80,
    before: (cwd) => {
      succeed({cwd}, 'sh', '-euc', 'truncate -s 8M image; mkfs.ext4 -q image; chmod 666 image; mkdir m')
    },
    call: `
def call(i): check(libc.mount(b'image', b'm', b'ext4', 1, None))
def effect(i):
    found = libc.umount2(b'm', 2) == 0
    assert not found or libc.umount2(b'm', 2) != 0
    return found`,
  })
})
