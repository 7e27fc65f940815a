import assert from 'node:assert/strict'

import {Composition} from '../../../src/intercept/composition.js'
import type {Policy} from '../../../src/intercept/policy.js'

const device = (major: number) => ({type: 'c', major, minor: 3}) as const
const full: Policy = {
  mknod: {devices: [device(1), device(2)]},
  setxattr: {names: ['trusted.a', 'trusted.b']},
  mount: {allowed: ['ext4', 'xfs'], fuse: {ntfs: 'ntfs-3g'}, shift: true, sources: ['/dev/sda']},
  bpf: {devices: true},
  sched: {maxPriority: 50, deadline: true},
  sysinfo: {},
  modules: {names: ['loop']},
}

const compose = (policy: Policy) => new Composition({policy, rootless: false})
const beyond = (asked: Policy, given: Policy) => compose(asked).beyond(compose(given))

describe('a policy', () => {
  it('is not beyond itself, and nothing is beyond it', () => {
    assert.deepEqual(beyond(full, full), [])
    assert.deepEqual(beyond({}, full), [])
  })

  it('is beyond one that lacks a family of it', () => {
    for (const name of Object.keys(full)) {
      const {[name]: _, ...rest} = full
      assert.deepEqual(beyond(full, rest), [`${name}, which is off in it`])
    }
  })

  const wider: readonly Policy[] = [
    {mknod: {devices: [device(3)]}},
    {setxattr: {names: ['trusted.c']}},
    {mount: {allowed: ['btrfs'], fuse: {}, shift: false, sources: []}},
    {mount: {allowed: [], fuse: {ntfs: 'other'}, shift: false, sources: []}},
    {mount: {allowed: [], fuse: {}, shift: false, sources: ['/dev/sdb']}},
    {sched: {maxPriority: 51}},
    {modules: {names: ['kvm']}},
  ]
  for (const policy of wider) {
    it(`is beyond another with ${JSON.stringify(policy)}`, () => {
      assert.equal(beyond(policy, full).length, 1)
    })
  }

  it('is beyond one that restricts more', () => {
    const mount = {allowed: [], fuse: {}, sources: []}
    const pairs: readonly [Policy, Policy][] = [
      [{mount: {...mount, shift: true}}, {mount: {...mount, shift: false}}],
      [{bpf: {devices: true}}, {bpf: {devices: false}}],
      [{sched: {maxPriority: 5, deadline: true}}, {sched: {maxPriority: 5}}],
    ]
    for (const [asked, given] of pairs) {
      assert.equal(beyond(asked, given).length, 1)
      assert.deepEqual(beyond(given, asked), [])
    }
  })
})
