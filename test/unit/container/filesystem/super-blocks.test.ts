// Which super blocks count as the host's for as long as a container lives.

import assert from 'node:assert/strict'

import {superBlocksOf} from '../../../../src/container/filesystem/super-blocks.js'
import type {MountPoint} from '../../../../src/container/filesystem/host.js'
import type {FilesystemStep} from '../../../../src/container/plan.js'

const flags = {}
const path = (text: string): Buffer => Buffer.from(text)
const root = (idmap: boolean): FilesystemStep => {
  return {kind: 'root', source: path('/'), idmap, recursive: true, flags}
}
const bind = (target: string, idmap: boolean): FilesystemStep => {
  return {kind: 'bind', source: path(target), target: path(target), idmap, recursive: false, flags}
}
const tmpfs = (target: string): FilesystemStep => {
  return {kind: 'tmpfs', target: path(target), mode: 0o755, sizeBytes: 0, flags}
}
const mount = (at: string, device: string, type = 'ext4', idmapped = false): MountPoint => {
  return {path: path(at), device, type, idmapped}
}

describe('superBlocksOf', () => {
  const hosts = [mount('/', '8:1'), mount('/tmp', '0:30', 'tmpfs'), mount('/srv/data', '8:2')]

  it("takes all that the container sees for the host's, but what was made for it", () => {
    const inside = [
      mount('/', '8:1'),
      mount('/tmp', '0:50', 'tmpfs'),
      mount('/run', '0:51', 'tmpfs'),
      mount('/proc', '0:52', 'proc'),
      mount('/srv/gone', '8:9'),
    ]
    const steps = [root(false), tmpfs('/tmp')]
    // /run came from the host, which may have unmounted it since, like 8:9.
    assert.deepEqual(superBlocksOf(inside, hosts, steps), {
      host: ['8:1', '0:51', '0:52', '8:9', '0:30', '8:2'],
      mapped: [],
    })
  })

  it('does not take a file system of the host for made where another was to be', () => {
    const inside = [mount('/', '8:1'), mount('/tmp', '0:30', 'tmpfs')]
    assert.ok(superBlocksOf(inside, hosts, [root(false), tmpfs('/tmp')]).host.includes('0:30'))
  })

  it('knows which show the ids of the container', () => {
    const inside = [mount('/', '8:1'), mount('/srv/data/tree', '8:2', 'ext4', true), mount('/srv/data', '8:2')]
    const steps = [root(false), bind('/srv/data/tree', true)]
    assert.deepEqual(superBlocksOf(inside, hosts, steps).mapped, ['8:2'])
    assert.deepEqual(superBlocksOf([mount('/', '8:3', 'ext4', true)], hosts, [root(true)]).mapped, ['8:3'])
    const below = [mount('/', '8:1'), mount('/srv/data/tree/m', '8:4', 'xfs', true)]
    assert.deepEqual(superBlocksOf(below, hosts, steps).mapped, ['8:4'])
  })

  it("trusts no map of ids that was the host's before", () => {
    const inside = [mount('/', '8:1'), mount('/srv/data/tree', '8:2', 'ext4', true)]
    const steps = [root(false), bind('/srv/data/tree', true)]
    assert.deepEqual(superBlocksOf(inside, [...hosts, mount('/home/u', '8:2', 'ext4', true)], steps).mapped, [])
    // The host has unmounted it since, or it lies where nothing was mapped.
    assert.deepEqual(superBlocksOf([...inside, mount('/home/u', '8:2', 'ext4', true)], hosts, steps).mapped, [])
    const covered = [root(true), bind('/srv', false)]
    assert.deepEqual(superBlocksOf([mount('/srv/x', '8:5', 'ext4', true)], hosts, covered).mapped, [])
    assert.deepEqual(superBlocksOf([mount('/srvx', '8:5', 'ext4', true)], hosts, covered).mapped, ['8:5'])
  })
})
