// The registry of nodes that follow-up calls must be carried out for.

import assert from 'node:assert/strict'

import {BoundNodes, inodeKey, manifestEntry} from '../../../../../src/intercept/families/mknod/bound-nodes.js'
import type {BoundNode} from '../../../../../src/intercept/families/mknod/bound-nodes.js'
import type {Statx} from '../../../../../src/ffi/mount.js'

const MOUNT_ROOT = 0x2000

describe('bound nodes', () => {
  it('are found by the mount that a path leads to', () => {
    const bound = new BoundNodes()
    const node = bind({mountId: 7, inode: 3n})
    bound.add(node)
    assert.equal(bound.find(status({mountId: 7, inode: 3n})), node)
    assert.equal(bound.size, 1)
  })

  it('are not taken for a later mount of the same id', () => {
    const bound = new BoundNodes()
    bound.add(bind({mountId: 7, inode: 3n}))
    assert.equal(bound.find(status({mountId: 7, inode: 4n})), undefined)
    assert.equal(bound.find(status({mountId: 7, inode: 3n, attributes: 0})), undefined)
  })

  it('are found in a copy of the mount namespace when the inode is theirs alone', () => {
    const bound = new BoundNodes()
    const own = bind({mountId: 7, inode: 3n})
    const hosts = bind({mountId: 8, inode: 4n, ownInode: false})
    bound.add(own)
    bound.add(hosts)
    assert.equal(bound.find(status({mountId: 107, inode: 3n})), own)
    assert.equal(bound.find(status({mountId: 108, inode: 4n})), undefined)
  })

  it('give way to a new node on a mount id that came again', () => {
    const bound = new BoundNodes()
    bound.add(bind({mountId: 7, inode: 3n}))
    const later = bind({mountId: 7, inode: 4n})
    bound.add(later)
    assert.equal(bound.size, 1)
    assert.equal(bound.find(status({mountId: 7, inode: 4n})), later)
    assert.equal(bound.find(status({mountId: 70, inode: 3n})), undefined)
  })

  it('leave the other links of an inode when one is removed', () => {
    const bound = new BoundNodes()
    const [one, other] = [bind({mountId: 7, inode: 3n}), bind({mountId: 8, inode: 3n})]
    bound.add(one)
    bound.add(other)
    bound.remove(one)
    assert.equal(bound.find(status({mountId: 7, inode: 3n})), other)
    bound.remove(other)
    assert.equal(bound.find(status({mountId: 8, inode: 3n})), undefined)
    assert.equal(bound.size, 0)
  })

  it('are found as placeholders by their own inode', () => {
    const bound = new BoundNodes()
    const record = bind({mountId: undefined, inode: 3n})
    bound.add(record)
    assert.equal(bound.find(status({mountId: 1, inode: 3n, attributes: 0})), record)
    // Something is mounted over it.
    assert.equal(bound.find(status({mountId: 1, inode: 3n})), undefined)
  })

  it('have a limit', () => {
    const bound = new BoundNodes(2)
    bound.add(bind({mountId: 1, inode: 1n}))
    assert.equal(bound.full, false)
    bound.add(bind({mountId: 2, inode: 2n}))
    assert.equal(bound.full, true)
    assert.throws(() => bound.add(bind({mountId: 3, inode: 3n})), RangeError)
  })

  it('become entries of the manifest, also when they are removed', () => {
    const node = bind({mountId: 1, inode: 1n})
    assert.deepEqual(manifestEntry(node, {removed: true}), {
      kind: 'node',
      path: Buffer.from('/dev/null'),
      type: 'c',
      major: 1,
      minor: 3,
      mode: 0o666,
      uid: 0,
      gid: 5,
      strategy: 'bind',
      removed: true,
    })
  })
})

function status(values: Partial<Statx>): Statx {
  return {
    mode: 0o020_666,
    uid: 0,
    gid: 0,
    nlink: 1,
    size: 0,
    inode: 1n,
    rdevMajor: 1,
    rdevMinor: 3,
    devMajor: 0,
    devMinor: 40,
    mountId: 1,
    attributes: MOUNT_ROOT,
    ...values,
  }
}

function bind(values: {mountId: number | undefined; inode: bigint; ownInode?: boolean}): BoundNode {
  const {mountId, inode, ownInode = true} = values
  return {
    device: {type: 'c', major: 1, minor: 3},
    strategy: mountId === undefined ? 'record' : 'bind',
    path: Buffer.from('/dev/null'),
    mode: 0o666,
    uid: 0,
    gid: 5,
    mountId,
    inode: inodeKey(status({inode})),
    ownInode,
    stored: undefined,
  }
}
