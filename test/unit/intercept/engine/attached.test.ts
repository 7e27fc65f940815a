import assert from 'node:assert/strict'

import type {ContainerDescription} from '../../../../src/intercept/container.js'
import {attachFamilies} from '../../../../src/intercept/engine/attached.js'
import {FAMILIES} from '../../../../src/intercept/families/index.js'

const container: ContainerDescription = {
  name: 'test',
  initPid: process.pid,
  namespaces: {user: 1, mnt: 2, pid: 3},
  uidMap: [],
  gidMap: [],
  rootless: false,
  startedMs: 0,
}
const policy = {
  mknod: {devices: []},
  mount: {allowed: [], fuse: {}, shift: false, sources: []},
  sysinfo: {},
}

describe('attachFamilies', () => {
  it('gives workers what their families share, of those that are on', () => {
    const attached = attachFamilies(FAMILIES, policy, container)
    try {
      const given = Object.entries(attached.shared).filter(([, shared]) => shared !== undefined)
      assert.deepEqual(given.map(([name]) => name).sort(), ['mount', 'sysinfo'])
      // As it crosses to a worker.
      assert.doesNotThrow(() => structuredClone(attached.shared))
    } finally {
      attached.stop()
    }
    assert.deepEqual(attachFamilies(FAMILIES, {}, container).shared, {})
  })

  it('has the command wait where nodes of an earlier run may be taken up', () => {
    const waits = (rootless: boolean, mknod: boolean) => {
      const attached = attachFamilies(FAMILIES, mknod ? {mknod: {devices: []}} : {bpf: {devices: false}}, {
        ...container,
        rootless,
      })
      attached.stop()
      return attached.restores
    }
    assert.deepEqual(
      [waits(true, true), waits(true, false), waits(false, true), waits(false, false)],
      [true, false, false, false],
    )
  })
})
