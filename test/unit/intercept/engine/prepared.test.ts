import assert from 'node:assert/strict'

import {Composition} from '../../../../src/intercept/composition.js'
import {prepareFamilies} from '../../../../src/intercept/engine/prepared.js'
import type {AnyFamily} from '../../../../src/intercept/family.js'
import type {Policy} from '../../../../src/intercept/policy.js'
import type {PreparationRequest} from '../../../../src/intercept/preparation.js'
import {DEFAULT_DEVICES} from '../../../../src/kernel/device-numbers.js'

const MOUNT = {allowed: ['ext4'], fuse: {}, shift: false, sources: []}
const asRoot: PreparationRequest = {rootless: false, devices: []}
const asUser: PreparationRequest = {rootless: true, devices: []}

const prepare = (policy: Policy, request = asRoot) =>
  prepareFamilies(new Composition({policy, rootless: request.rootless}).families, request)

describe('prepareFamilies', () => {
  it('asks for nothing where nothing is on', () => {
    const {close, ...asked} = prepare({})
    close()
    assert.deepEqual(asked, {
      nodes: [],
      deviceRules: [],
      shown: [],
      executed: [],
      archived: [],
      archivedAttributes: [],
      opensNodes: false,
      realtime: false,
      ownCgroup: undefined,
      spawner: false,
      kept: {},
      objects: {},
    })
  })

  it('lets the container open the devices that it may make, but for the console of the host', () => {
    const {deviceRules, archived, opensNodes} = prepare({mknod: {devices: DEFAULT_DEVICES}})
    assert.equal(opensNodes, true)
    assert.deepEqual(archived, DEFAULT_DEVICES)
    const console = ({major, minor}: {major: unknown; minor: unknown}) => major === 5 && minor === 1
    assert.ok(DEFAULT_DEVICES.some(console))
    assert.ok(!deviceRules.some(console))
    assert.equal(deviceRules.length, DEFAULT_DEVICES.length - 1)
  })

  it('gives device programs a cgroup of their own, but not those of an ordinary user', () => {
    assert.equal(prepare({bpf: {devices: true}}).ownCgroup, '--bpf-devices')
    assert.equal(prepare({bpf: {devices: true}}, asUser).ownCgroup, undefined)
    assert.equal(prepare({bpf: {devices: false}}).ownCgroup, undefined)
  })

  it('asks for real-time bandwidth and for a spawner where a family needs them', () => {
    assert.equal(prepare({sched: {maxPriority: 1}}).realtime, true)
    assert.equal(prepare({mount: MOUNT}).spawner, false)
    assert.equal(prepare({mount: {...MOUNT, fuse: {ext4: 'fuse2fs'}}}).spawner, true)
  })

  it('shows the device of FUSE once, also where --device shows it', () => {
    const mount = {...MOUNT, fuse: {ext4: 'fuse2fs'}}
    const names = (request: PreparationRequest) => prepare({mount}, request).nodes.map(({path}) => path.toString())
    assert.deepEqual(names(asRoot), ['/dev/fuse'])
    assert.deepEqual(names({...asRoot, devices: [Buffer.from('/dev/fuse')]}), [])
  })

  it('names a source that is not there', () => {
    for (const request of [asRoot, asUser])
      assert.throws(
        () => prepare({mount: {...MOUNT, sources: ['/nowhere/disk.img']}}, request),
        /^UsageError: cannot use --mount-source \/nowhere\/disk\.img: there is nothing of that name$/,
      )
  })

  it('gives back what others keep where one of them fails', () => {
    const told: string[] = []
    const family = (name: string, prepare: AnyFamily['prepare']) => ({
      family: {name, prepare} as unknown as AnyFamily,
      policy: {},
    })
    const families = [
      family('first', () => ({close: () => told.push('first')})),
      family('second', () => ({close: () => told.push('second')})),
      family('third', () => {
        throw new Error('no')
      }),
    ]
    assert.throws(() => prepareFamilies(families, asRoot), /no/)
    assert.deepEqual(told, ['second', 'first'])
  })
})
