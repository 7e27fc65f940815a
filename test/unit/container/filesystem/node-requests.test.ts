import assert from 'node:assert/strict'

import type {FileFacts, Host} from '../../../../src/container/filesystem/host.js'
import {MountPoints} from '../../../../src/container/filesystem/mount-points.js'
import {deviceRequest} from '../../../../src/container/filesystem/node-requests.js'
import {ROOT} from '../../../../src/host/path-bytes.js'
import type {FilesystemStep} from '../../../../src/container/plan.js'
import type {DeviceOption} from '../../../../src/container/run-options.js'

const TUN = {type: 'c', major: 10, minor: 200} as const
const MAP = [{inside: 0, outside: 100_000, count: 65_536}]
const TREE: Readonly<Record<string, FileFacts>> = {
  '/': {type: 'directory', mode: 0o755, uid: 0, gid: 0, identity: '1'},
  '/dev': {type: 'directory', mode: 0o755, uid: 0, gid: 0, identity: '2'},
  '/dev/file': {type: 'file', mode: 0o644, uid: 0, gid: 0, identity: '3'},
  '/dev/tun': {type: 'character', mode: 0o660, uid: 0, gid: 10, identity: '4', device: TUN},
}

const host: Host = {
  lstat: (path) => TREE[path.toString()],
  readlink: () => ROOT,
  list: () => [],
  mountPoints: () => [],
}

/** The step that shows the device. */
function stepOf(option: Partial<DeviceOption>, rootless = false): FilesystemStep | undefined {
  const points = new MountPoints(host, {kind: 'fixed', target: ROOT, source: ROOT, reached: false}, () => true)
  const device = {path: Buffer.from('/dev/tun'), mode: undefined, owner: undefined, ...option}
  const options = {rootless, uidMap: MAP, gidMap: MAP, currentDirectory: ROOT}
  deviceRequest(device, options, host).mount(points)
  return points.steps.at(-1)
}

const node = {kind: 'node', target: Buffer.from('/dev/tun'), device: TUN} as const

describe('deviceRequest', () => {
  it("makes a node of the container's root with the permissions of the host's", () => {
    assert.deepEqual(stepOf({}), {...node, mode: 0o660, uid: 100_000, gid: 100_000})
  })

  it('gives the node the owner and the mode that were asked for', () => {
    const step = stepOf({mode: 0o606, owner: {uid: 7, gid: 8}})
    assert.deepEqual(step, {...node, mode: 0o606, uid: 100_007, gid: 100_008})
  })

  it("shows the host's own node where none can be made", () => {
    const {kind, source} = stepOf({}, true) as Extract<FilesystemStep, {kind: 'bind'}>
    assert.deepEqual([kind, source], ['bind', Buffer.from('/dev/tun')])
  })

  it('refuses ids that the container does not have, and what is no device', () => {
    assert.throws(() => stepOf({owner: {uid: 70_000, gid: 0}}), /to 70000:0: the container does not have these ids/)
    assert.throws(() => stepOf({path: Buffer.from('/dev/file')}), /--device \/dev\/file: it is no device node/)
  })
})
