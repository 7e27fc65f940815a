import assert from 'node:assert/strict'

import type {ContainerDescription} from '../../../../src/intercept/container.js'
import {Composition} from '../../../../src/intercept/composition.js'
import {attachFamilies} from '../../../../src/intercept/engine/attached.js'
import type {Policy} from '../../../../src/intercept/policy.js'

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

const attach = (asked: Policy, rootless = false) =>
  attachFamilies(new Composition({policy: asked, rootless}).families, {...container, rootless})

describe('attachFamilies', () => {
  it('gives workers what their families share, of those that are on', () => {
    const attached = attach(policy)
    try {
      const given = Object.entries(attached.shared).filter(([, shared]) => shared !== undefined)
      assert.deepEqual(given.map(([name]) => name).sort(), ['mount', 'sysinfo'])
      // As it crosses to a worker.
      assert.doesNotThrow(() => structuredClone(attached.shared))
    } finally {
      attached.stop()
    }
    assert.deepEqual(attach({}).shared, {})
  })

  it('has the command wait where nodes of an earlier run may be taken up', () => {
    const waits = (rootless: boolean, mknod: boolean) => {
      const attached = attach(mknod ? {mknod: {devices: []}} : {bpf: {devices: false}}, rootless)
      attached.stop()
      return attached.restores
    }
    assert.deepEqual(
      [waits(true, true), waits(true, false), waits(false, true), waits(false, false)],
      [true, false, false, false],
    )
  })
})
