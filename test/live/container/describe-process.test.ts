// What the kernel shows of a process that another program made a container for: unshare(1).

import assert from 'node:assert/strict'
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {readFileSync, readlinkSync} from 'node:fs'

import {describeProcess} from '../../../src/container/describe-process.js'
import {bootTimeMs} from '../../../src/ffi/sysinfo.js'
import {descendantsOf, until} from '../../helpers/processes.js'
import {skipUnlessPrivileged, skipUnlessPrograms} from '../../helpers/skip.js'

describe('describeProcess', () => {
  skipUnlessPrivileged()
  skipUnlessPrograms('unshare')

  it('describes a container of another maker by its init', async () => {
    const words = ['--user', '--map-root-user', '--pid', '--mount', '--fork', '--kill-child', 'sleep', '85']
    const child = spawn('unshare', words, {stdio: 'ignore'})
    try {
      await until(() => descendantsOf(child.pid ?? 0).some(isSleep), 'the container runs')
      const [init = 0] = descendantsOf(child.pid ?? 0).filter(isSleep)
      const {namespaces, startedMs, cgroup, ...rest} = describeProcess(init, {name: 'theirs', rootless: false})
      const own = [{inside: 0, outside: 0, count: 1}]
      assert.deepEqual(rest, {name: 'theirs', initPid: init, uidMap: own, gidMap: own, rootless: false})
      for (const [name, inode] of Object.entries(namespaces)) {
        assert.equal(readlinkSync(`/proc/${init}/ns/${name}`), `${name}:[${inode}]`)
        assert.notEqual(readlinkSync(`/proc/self/ns/${name}`), `${name}:[${inode}]`)
      }
      assert.ok(startedMs > 0 && startedMs <= bootTimeMs())
      assert.ok(cgroup?.version === 1 || cgroup?.version === 2)
    } finally {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
  })

  it('has nothing to say of a process that is not there', () => {
    assert.throws(() => describeProcess(2 ** 22 + 1, {name: 'gone', rootless: false}), {code: 'ENOENT'})
  })
})

function isSleep(pid: number): boolean {
  return readFileSync(`/proc/${pid}/cmdline`, 'latin1') === 'sleep\x0085\0'
}
