import assert from 'node:assert/strict'

import {chooseNestedMaps, freeRange, parseProcIdMap} from '../../../../src/container/userns/idmap.js'
import {chooseMaps, parseMarker} from '../../../../src/container/userns/reexecute.js'
import type {Privileges} from '../../../../src/container/userns/privileges.js'
import {holds, isPrivileged, mayMapIds, ownPrivileges} from '../../../../src/container/userns/privileges.js'

const ALL = (1n << 41n) - 1n
const SYS_ADMIN = 1n << 21n
const INITIAL = parseProcIdMap('0 0 4294967295')
const ROOT: Privileges = {
  uid: 0,
  gid: 0,
  capabilities: ALL,
  uidMap: INITIAL,
  gidMap: INITIAL,
  isFiltered: false,
  noNewPrivileges: false,
}
const PERSON: Privileges = {...ROOT, uid: 1000, gid: 1000, capabilities: 0n}
const SOURCES = {subuid: 'ann:100000:65536\n', subgid: 'ann:200000:65536\n', passwd: 'ann:x:1000:1000::/:\n', group: ''}
const find = (name: string) => `/usr/bin/${name}`

describe('isPrivileged', () => {
  it('is root of the host with all that is needed, and nobody else', () => {
    assert.equal(isPrivileged(ROOT), true)
    assert.equal(isPrivileged({...ROOT, capabilities: ALL & ~SYS_ADMIN}), false)
    assert.equal(isPrivileged({...ROOT, uidMap: parseProcIdMap('0 1000 1')}), false)
    assert.equal(isPrivileged({...ROOT, uid: 1000}), false)
    assert.equal(isPrivileged(PERSON), false)
  })

  it('reads this process as it is', () => {
    const own = ownPrivileges()
    assert.equal(own.uid, process.geteuid?.())
    assert.equal(holds(own, 'SYS_ADMIN'), (own.capabilities & SYS_ADMIN) !== 0n)
    assert.ok(own.uidMap.length > 0)
  })
})

describe('chooseMaps', () => {
  it('gives an ordinary user its own id and its range, by newuidmap', () => {
    const {uidMap, gidMap, helpers, single} = chooseMaps(PERSON, SOURCES, find)
    assert.deepEqual(uidMap, parseProcIdMap('0 1000 1\n1 100000 65535'))
    assert.deepEqual(gidMap, parseProcIdMap('0 1000 1\n1 200000 65535'))
    assert.deepEqual({helpers, single}, {helpers: ['/usr/bin/newuidmap', '/usr/bin/newgidmap'], single: undefined})
  })

  it('says why there is no range', () => {
    assert.equal(chooseMaps(PERSON, {...SOURCES, subgid: ''}, find).single, 'no-range')
    assert.equal(chooseMaps(PERSON, SOURCES, () => undefined).single, 'no-helper')
    assert.deepEqual(chooseMaps(PERSON, SOURCES, () => undefined).uidMap, [])
  })

  it('gives root of a container the ids of that container, and needs no helper for it', () => {
    const privileges = {...ROOT, capabilities: ALL & ~SYS_ADMIN}
    assert.equal(mayMapIds(privileges), true)
    const chosen = chooseMaps(privileges, {...SOURCES, subuid: '', subgid: ''}, find)
    assert.deepEqual(chosen.uidMap, parseProcIdMap('0 0 65536'))
    assert.deepEqual({helpers: chosen.helpers, single: chosen.single}, {helpers: undefined, single: undefined})
    const nested = {...privileges, uidMap: parseProcIdMap('0 1000 1\n1 100000 65536')}
    assert.deepEqual(chooseMaps(nested, {...SOURCES, subuid: ''}, find).uidMap, parseProcIdMap('0 0 1\n1 1 65536'))
  })
})

describe('chooseNestedMaps', () => {
  const own = {uidMap: parseProcIdMap('0 1000 1\n1 100000 65535'), gidMap: parseProcIdMap('0 1000 1')}

  it('hands on all that there is, extent by extent', () => {
    assert.deepEqual(chooseNestedMaps(own), {
      uidMap: parseProcIdMap('0 0 1\n1 1 65535'),
      gidMap: parseProcIdMap('0 0 1'),
    })
  })

  it('takes ids as the host numbers them', () => {
    const given = {uidMap: parseProcIdMap('0 100009 5\n5 1000 1'), gidMap: parseProcIdMap('0 1000 1')}
    assert.deepEqual(chooseNestedMaps(own, given).uidMap, parseProcIdMap('0 10 5\n5 0 1'))
    assert.throws(
      () => chooseNestedMaps(own, {...given, gidMap: parseProcIdMap('0 5 1')}),
      /--gid-map 0:5:1: id 5 is not one of yours/u,
    )
  })
})

describe('freeRange', () => {
  it('begins behind all ranges of both files', () => {
    assert.equal(freeRange({subuid: '', subgid: ''}), 100_000)
    assert.equal(freeRange(SOURCES), 265_536)
  })
})

describe('parseMarker', () => {
  it('believes only what was written for this process', () => {
    const text = '17:4711:1000:100:none:0:0:0'
    assert.deepEqual(parseMarker(text, '17:4711'), {stage: 'entered', errno: 0, single: undefined, uid: 1000, gid: 100})
    assert.equal(parseMarker(text, '17:4712'), undefined)
    for (const wrong of ['', '17:4711:1000', `${text}:1`, '17:4711:1000:100:other:0:0:0'])
      assert.equal(parseMarker(wrong, '17:4711'), undefined)
  })

  it('tells what failed, and why there is one id', () => {
    assert.deepEqual(parseMarker('1:2:3:4:no-range:0:0:3', '1:2')?.single, 'no-range')
    assert.deepEqual(parseMarker('1:2:3:4:none:0:0:2', '1:2')?.single, 'helper-failed')
    const failed = parseMarker('1:2:3:4:none:1:28:0', '1:2')
    assert.deepEqual([failed?.stage, failed?.errno], ['unshare', 28])
  })
})
