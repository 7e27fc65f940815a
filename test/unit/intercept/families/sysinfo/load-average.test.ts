import assert from 'node:assert/strict'

import type {ContainerDescription} from '../../../../../src/intercept/container.js'
import {LoadAverage, fade, newLoadMemory} from '../../../../../src/intercept/families/sysinfo/load-average.js'

const describeProcess = (initPid: number): ContainerDescription => ({
  name: 'test',
  initPid,
  namespaces: {user: 1, mnt: 2, pid: 3},
  uidMap: [],
  gidMap: [],
  rootless: true,
  startedMs: 0,
})

describe('fade', () => {
  it('comes to what is running, sooner over one minute than over fifteen', () => {
    const loads = new Float64Array(3)
    for (let second = 0; second < 60; second += 5) fade(loads, 2, 5000)
    assert.deepEqual(
      [...loads].map((load) => load.toFixed(3)),
      [2 * (1 - Math.exp(-1)), 2 * (1 - Math.exp(-1 / 5)), 2 * (1 - Math.exp(-1 / 15))].map((load) => load.toFixed(3)),
    )
  })

  it('is the same for one long interval as for many short ones', () => {
    const [one, many] = [new Float64Array(3).fill(4), new Float64Array(3).fill(4)]
    fade(one, 1, 300_000)
    for (let index = 0; index < 60; index++) fade(many, 1, 5000)
    for (let index = 0; index < 3; index++) assert.ok(Math.abs(one[index]! - many[index]!) < 1e-9)
  })
})

describe('LoadAverage', () => {
  it('reads what another thread sampled, and samples nothing then', () => {
    const memory = newLoadMemory()
    new Float64Array(memory).set([1.5, 0.5, 0.25, 7, 0])
    const load = new LoadAverage(describeProcess(process.pid), memory, () => 1e9)
    assert.deepEqual(load.read(), [1.5, 0.5, 0.25])
    assert.equal(load.tasks(), 7)
  })

  it('counts one task, at least, of a container that is gone', () => {
    const load = new LoadAverage(describeProcess(4_194_304), undefined, () => 0)
    assert.equal(load.tasks(), 1)
    load.sample()
    assert.deepEqual(load.read(), [0, 0, 0])
  })
})
