import assert from 'node:assert/strict'
import {spawn} from 'node:child_process'
import {readFileSync} from 'node:fs'

import type {ContainerDescription} from '../../../src/intercept/container.js'
import {LoadAverage} from '../../../src/intercept/families/sysinfo/load-average.js'
import {descendantsOf, until} from '../../helpers/processes.js'

const describeProcess = (initPid: number): ContainerDescription => ({
  name: 'test',
  initPid,
  namespaces: {user: 1, mnt: 2, pid: 3},
  uidMap: [],
  gidMap: [],
  rootless: true,
  startedMs: 0,
})

describe('LoadAverage of processes', () => {
  it('samples by itself when the last time is five seconds ago, and counts what runs', async () => {
    const busy = spawn('sh', ['-c', 'sleep 100 & while :; do :; done'], {stdio: 'ignore', detached: true})
    try {
      const status = (pid: number) => readFileSync(`/proc/${pid}/status`, 'latin1')
      const sleeps = (pid: number) => /^Name:\tsleep\n[^]*^State:\tS/mu.test(status(pid))
      await until(() => descendantsOf(busy.pid ?? 0).some(sleeps), 'the other process sleeps')
      let now = 0
      const load = new LoadAverage(describeProcess(busy.pid ?? 0), undefined, () => now)
      now = 4999
      assert.deepEqual(load.read(), [0, 0, 0])
      now = 60_000
      assert.equal(load.read()[0].toFixed(3), (1 - Math.exp(-1)).toFixed(3))
      assert.equal(load.tasks(), 2)
      // The same task is left out when it is the one that asks.
      now = 120_000
      assert.ok(load.read(busy.pid)[0] < 0.3)
    } finally {
      process.kill(-(busy.pid ?? 0), 'SIGKILL')
    }
  })
})
