// Reading /proc/TID/status through files that stay open: what is cached, and whose it is when the number is used again.

import assert from 'node:assert/strict'
import {spawn} from 'node:child_process'
import type {ChildProcess} from 'node:child_process'
import {once} from 'node:events'
import {readFileSync, readdirSync, readlinkSync, writeFileSync} from 'node:fs'

import {isSystemError} from '../../../src/ffi/errors.js'
import {ERRNO} from '../../../src/kernel/errno.js'
import {StatusReader} from '../../../src/intercept/caller/status-reader.js'
import {parseStatus} from '../../../src/intercept/caller/status.js'
import {isRoot} from '../../helpers/program.js'

const TRIES = 400

describe('StatusReader', () => {
  const children: ChildProcess[] = []
  const start = (command: string, ...words: string[]): ChildProcess => {
    const child = spawn(command, words, {stdio: 'ignore'})
    children.push(child)
    return child
  }
  const end = async (child: ChildProcess): Promise<void> => {
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }

  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL')
  })

  it('gives what the file says, and the same object as long as it says the same', () => {
    const reader = new StatusReader()
    const first = reader.read(process.pid)
    assert.deepEqual(first, parseStatus(readFileSync(`/proc/${process.pid}/status`)))
    // What nobody asks for has changed by now.
    assert.equal(reader.read(process.pid), first)
    const before = process.umask(0o013)
    try {
      assert.equal(reader.read(process.pid)?.umask, 0o013)
      const {title} = process
      process.title = 'another'
      assert.equal(reader.read(process.pid)?.comm, 'another')
      process.title = title
    } finally {
      process.umask(before)
    }
    assert.deepEqual(reader.read(process.pid), parseStatus(readFileSync(`/proc/${process.pid}/status`)))
  })

  it('keeps nothing of a task with thousands of groups', function () {
    if (!isRoot()) this.skip()
    const before = process.getgroups!()
    const reader = new StatusReader()
    const file = `/proc/${process.pid}/status`
    // Readers of other tests have it open too.
    const held = (): number =>
      readdirSync('/proc/self/fd').filter((fd) => linkOf(`/proc/self/fd/${fd}`) === file).length
    const heldByOthers = held()
    reader.read(process.pid)
    assert.equal(held(), heldByOthers + 1)
    process.setgroups!(Array.from({length: 40_000}, (_, index) => 1_000_000_000 + index))
    try {
      for (let round = 0; round < 2; round++) assert.equal(reader.read(process.pid)?.groups.length, 40_000)
      assert.equal(held(), heldByOthers)
    } finally {
      process.setgroups!(before)
    }
    assert.deepEqual(reader.read(process.pid), parseStatus(readFileSync(file)))
  })

  it('tells of a task that is gone as the kernel does', async () => {
    const reader = new StatusReader()
    const child = start('sleep', '60')
    assert.equal(typeof reader.read(child.pid!)?.tgid, 'number')
    await end(child)
    assert.throws(
      () => reader.read(child.pid!),
      (error) => isSystemError(error, ERRNO.ENOENT) || isSystemError(error, ERRNO.ESRCH),
    )
  })

  it('reads of the task that has the number now, not of the one that had it', async function () {
    if (!isRoot()) this.skip()
    this.timeout(60_000)
    const reader = new StatusReader()
    const child = start('sleep', '60')
    const pid = child.pid!
    reader.read(pid)
    await end(child)
    for (let tries = 0; tries < TRIES; tries++) {
      writeFileSync('/proc/sys/kernel/ns_last_pid', String(pid - 1))
      const other = start('tail', '-f', '/dev/null')
      if (other.pid === pid) {
        await once(other, 'spawn')
        assert.equal(reader.read(pid)?.comm, 'tail')
        return
      }
      await end(other)
    }
    this.skip()
  })
})

/** Of a descriptor that may be gone by now. */
function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}
