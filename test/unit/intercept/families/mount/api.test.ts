// What is decided about the new mount calls before anything is looked up.

import assert from 'node:assert/strict'

import type {CallerFacts, Verdict} from '../../../../../src/intercept/family.js'
import {
  decideFsconfig,
  decideFsmount,
  decideFsopen,
  decideFspick,
  decideMountSetattr,
  decideMoveMount,
} from '../../../../../src/intercept/families/mount/api/decide.js'
import type {FsconfigValues} from '../../../../../src/intercept/families/mount/api/decide.js'

const root: CallerFacts = {uid: 0, gid: 0, effective: (1n << 41n) - 1n, inContainerUserNamespace: true}
const weak: CallerFacts = {...root, effective: 0n}
const nested: CallerFacts = {...root, inContainerUserNamespace: false}
const policy = {allowed: ['ext4', 'overlay', 'tmpfs'], fuse: {squashfs: 'squashfuse'}, shift: false, sources: []}
const text = (value: string) => Buffer.from(value)
const summary = (verdict: Verdict) => (verdict.kind === 'refuse' ? `refuse ${verdict.errno}` : verdict.kind)

describe('decideFsopen', () => {
  const decide = (type: string, facts = root, flags = 1, rootless = false) =>
    summary(decideFsopen({type: text(type), flags}, facts, policy, {rootless}))

  it('performs allowlisted types and those of a FUSE program', () => {
    assert.deepEqual(
      ['ext4', 'overlay', 'squashfs'].map((type) => decide(type)),
      ['perform', 'perform', 'perform'],
    )
  })

  it('refuses types of the host that are not allowlisted', () => {
    assert.deepEqual(
      ['btrfs', 'xfs', 'nfs'].map((type) => decide(type)),
      ['refuse 1', 'refuse 1', 'refuse 1'],
    )
  })

  it('leaves to the kernel what it mounts for a user namespace, and what it does not know', () => {
    assert.deepEqual(
      ['tmpfs', 'proc', 'nonsense', ''].map((type) => decide(type)),
      Array(4).fill('continue'),
    )
  })

  it('performs nothing without the capability, from a nested user namespace or with unknown flags', () => {
    assert.equal(decide('ext4', weak), 'refuse 1')
    assert.equal(decide('ext4', nested), 'continue')
    assert.equal(decide('ext4', root, 2), 'continue')
    assert.equal(summary(decideFsopen({type: {errno: 14}, flags: 0}, root, policy, {rootless: false})), 'continue')
  })

  it('refuses what an ordinary user cannot mount, but for overlays of its own', () => {
    assert.deepEqual([decide('ext4', root, 1, true), decide('overlay', root, 1, true)], ['refuse 1', 'continue'])
  })
})

describe('decideFsconfig', () => {
  const plain: FsconfigValues = {fd: 3, cmd: 1, key: text('key'), value: text('value'), aux: 0}
  const decide = (changes: Partial<FsconfigValues>, facts = root) =>
    summary(decideFsconfig({...plain, ...changes}, facts))

  it('performs every command in the form that the kernel takes', () => {
    const forms: readonly Partial<FsconfigValues>[] = [
      {},
      {cmd: 0, value: null},
      {cmd: 2, value: 4096, aux: 4},
      {cmd: 3, aux: -100},
      {cmd: 4, aux: 5},
      {cmd: 5, value: null, aux: 5},
      ...[6, 7, 8].map((cmd) => ({cmd, key: null, value: null})),
      {key: {errno: 14}},
    ]
    assert.deepEqual(
      forms.map((form) => decide(form)),
      forms.map(() => 'perform'),
    )
  })

  it('leaves every other form to the kernel, which refuses it before it looks at the descriptor', () => {
    const forms: readonly Partial<FsconfigValues>[] = [
      {fd: -1},
      {key: null},
      {value: null},
      {aux: 1},
      {cmd: 0},
      {cmd: 2, value: 4096, aux: 0},
      {cmd: 2, value: 4096, aux: 1_048_577},
      {cmd: 3, aux: -1},
      {cmd: 5, value: null, aux: -1},
      {cmd: 6},
      {cmd: 6, key: null, value: null, aux: 1},
      {cmd: 9, key: null, value: null},
      {cmd: 0xffff_ffff, key: null, value: null},
    ]
    assert.deepEqual(
      forms.map((form) => decide(form)),
      forms.map(() => 'continue'),
    )
  })

  it('performs nothing for a nested user namespace', () => {
    assert.equal(decide({}, nested), 'continue')
    assert.equal(summary(decideFsmount({fd: 3}, nested)), 'continue')
  })
})

describe('the calls on mounts', () => {
  const attr = {set: 0x10, clear: 0x70, propagation: 0}

  it('are performed for descriptors alone', () => {
    assert.equal(summary(decideMountSetattr({dirfd: 4, path: text(''), attr}, root)), 'perform')
    assert.equal(summary(decideMountSetattr({dirfd: 4, path: text('d'), attr}, root)), 'continue')
    assert.equal(summary(decideMountSetattr({dirfd: -100, path: text(''), attr}, root)), 'continue')
    assert.equal(summary(decideMountSetattr({dirfd: 4, path: text(''), attr: {errno: 22}}, root)), 'continue')
  })

  it('are left to the kernel without the capability', () => {
    const move = {from_dirfd: 4, from_path: text(''), to_dirfd: -100, to_path: text('/mnt'), flags: 4}
    assert.deepEqual(
      [root, weak, nested].map((facts) => summary(decideMoveMount(move, facts))),
      ['perform', 'continue', 'continue'],
    )
    assert.equal(summary(decideMoveMount({...move, flags: 0x1004}, root)), 'continue')
    const pick = {path: text('/mnt'), flags: 0}
    assert.deepEqual(
      [root, weak, nested].map((facts) => summary(decideFspick(pick, facts))),
      ['perform', 'continue', 'continue'],
    )
    assert.equal(summary(decideFspick({path: text(''), flags: 0}, root)), 'continue')
    assert.equal(summary(decideFspick({path: text(''), flags: 8}, root)), 'perform')
  })
})
