import assert from 'node:assert/strict'

import {
  choosePrivilegedMaps,
  chooseRootlessMaps,
  formatIdMap,
  isInitialUserNamespace,
  nestedMap,
  overlayMap,
  parseProcIdMap,
  readIdSources,
  splitByParent,
  subordinateRanges,
  toContainer,
  toHost,
  validateIdMap,
} from '../../../../src/container/userns/idmap.js'
import {UsageError} from '../../../../src/errors.js'

const EMPTY = {subuid: '', subgid: '', passwd: '', group: ''}
const FALLBACK = 0x7000_0000

describe('subordinateRanges', () => {
  it('takes names and numbers, in order, and passes over what is no range', () => {
    const text = [
      '# a comment',
      'root:100000:65536',
      'me:1:2:3',
      'me:x:65536',
      'me:200000:0',
      'me:4294967295:1',
      '1000:300000:10',
      'me:200000:65536',
      '',
    ].join('\n')
    assert.deepEqual(subordinateRanges(text, ['me', '1000']), [
      {start: 300_000, count: 10},
      {start: 200_000, count: 65_536},
    ])
  })

  it('does not take the name of one user for the start of another', () => {
    assert.deepEqual(subordinateRanges('rooty:100000:65536\n', ['root']), [])
  })
})

describe('choosePrivilegedMaps', () => {
  it("takes root's range", () => {
    const maps = choosePrivilegedMaps({...EMPTY, subuid: 'root:100000:65536', subgid: '0:500000:200000'})
    assert.deepEqual(maps.uidMap, [{inside: 0, outside: 100_000, count: 65_536}])
    assert.deepEqual(maps.gidMap, [{inside: 0, outside: 500_000, count: 65_536}])
  })

  it("takes interceptor's own range", () => {
    const line = 'interceptor:700000:65536'
    assert.equal(choosePrivilegedMaps({...EMPTY, subuid: line, subgid: line}).uidMap[0]?.outside, 700_000)
  })

  it('passes over a range that is too small', () => {
    const line = 'root:100000:65535'
    assert.equal(choosePrivilegedMaps({...EMPTY, subuid: line, subgid: line}).uidMap[0]?.outside, FALLBACK)
  })

  it('falls back to a range that no file mentions', () => {
    const step = 65_536
    const maps = choosePrivilegedMaps({
      subuid: `someone:${FALLBACK - 10}:20`,
      subgid: `someone:${FALLBACK + step + 5}:1`,
      passwd: `x:x:${FALLBACK + 2 * step}:5:::`,
      group: `x:x:${FALLBACK + 4 * step - 1}:`,
    })
    assert.deepEqual(maps.uidMap, [{inside: 0, outside: FALLBACK + 4 * step, count: step}])
    assert.deepEqual(maps.gidMap, maps.uidMap)
  })

  it('finds maps on this machine', () => {
    const {uidMap, gidMap} = choosePrivilegedMaps(readIdSources())
    assert.equal(toHost(uidMap, 65_535) !== undefined, true)
    assert.equal(toHost(gidMap, 65_535) !== undefined, true)
  })

  it('refuses to hand on the id of root', () => {
    const map = [{inside: 0, outside: 0, count: 10}]
    assert.throws(() => choosePrivilegedMaps(EMPTY, {uidMap: map, gidMap: []}), /--uid-map: it maps the host's id 0/)
    assert.throws(() => choosePrivilegedMaps(EMPTY, {uidMap: [], gidMap: map}), /--gid-map: it maps the host's id 0/)
  })
})

describe('chooseRootlessMaps', () => {
  const passwd = 'root:x:0:0::/root:/bin/sh\nme:x:1000:1000::/home/me:/bin/sh\n'

  it('puts the own id first and the subordinate ones behind it', () => {
    const sources = {...EMPTY, passwd, subuid: 'me:100000:65536', subgid: '1000:200000:65536'}
    const maps = chooseRootlessMaps(sources, {uid: 1000, gid: 100})
    assert.deepEqual(maps, {
      single: false,
      uidMap: [
        {inside: 0, outside: 1000, count: 1},
        {inside: 1, outside: 100_000, count: 65_535},
      ],
      gidMap: [
        {inside: 0, outside: 100, count: 1},
        {inside: 1, outside: 200_000, count: 65_535},
      ],
    })
  })

  it('maps one id where either file has no line', () => {
    const maps = chooseRootlessMaps({...EMPTY, passwd, subuid: 'me:100000:65536'}, {uid: 1000, gid: 1000})
    assert.deepEqual(maps.uidMap, [{inside: 0, outside: 1000, count: 1}])
    assert.equal(maps.single, true)
  })

  it('gives maps that a child namespace can repeat line by line', () => {
    const sources = {...EMPTY, passwd, subuid: 'me:100000:1000\nme:300000:500', subgid: 'me:100000:65536'}
    const {uidMap} = chooseRootlessMaps(sources, {uid: 1000, gid: 1000})
    assert.deepEqual(nestedMap(uidMap), [
      {inside: 0, outside: 0, count: 1},
      {inside: 1, outside: 1, count: 1000},
      {inside: 1001, outside: 1001, count: 500},
    ])
  })
})

describe('validateIdMap', () => {
  const wrong: readonly (readonly [string, Parameters<typeof validateIdMap>[1], RegExp])[] = [
    ['an empty map', [], /the map is empty/],
    ['too many lines', Array.from({length: 341}, (_, i) => ({inside: i, outside: i + 1000, count: 1})), /340/],
    ['a line without ids', [{inside: 0, outside: 5, count: 0}], /0:5:0 maps no id/],
    ['the id that means none', [{inside: 0, outside: 0xffff_fffe, count: 2}], /beyond the highest id/],
    ['more than 32 bits', [{inside: 0, outside: 1, count: 2 ** 32}], /beyond the highest id/],
    [
      'an overlap inside',
      [
        {inside: 0, outside: 100, count: 10},
        {inside: 9, outside: 500, count: 1},
      ],
      /overlap in the container/,
    ],
    [
      'an overlap outside',
      [
        {inside: 20, outside: 105, count: 10},
        {inside: 0, outside: 100, count: 6},
      ],
      /overlap on the host/,
    ],
    ['a container without root', [{inside: 1, outside: 100, count: 10}], /id 0 of the container is not mapped/],
  ]
  for (const [what, map, message] of wrong)
    it(`refuses ${what}`, () => {
      assert.throws(
        () => validateIdMap('--uid-map', map),
        (error) => error instanceof UsageError && message.test(error.message),
      )
    })

  it('takes lines that touch', () => {
    validateIdMap('--uid-map', [
      {inside: 10, outside: 110, count: 5},
      {inside: 0, outside: 100, count: 10},
    ])
  })
})

describe('overlayMap', () => {
  const map = [{inside: 0, outside: 100_000, count: 65_536}]

  it('takes out what is mapped otherwise', () => {
    assert.deepEqual(overlayMap('raw.idmap', map, [{inside: 1000, outside: 1000, count: 2}]), [
      {inside: 0, outside: 100_000, count: 1000},
      {inside: 1000, outside: 1000, count: 2},
      {inside: 1002, outside: 101_002, count: 64_534},
    ])
    assert.deepEqual(overlayMap('raw.idmap', map, [{inside: 0, outside: 100_002, count: 1}]), [
      {inside: 0, outside: 100_002, count: 1},
      {inside: 1, outside: 100_001, count: 1},
      {inside: 3, outside: 100_003, count: 65_533},
    ])
  })

  it('refuses what overlaps', () => {
    const twice = [
      {inside: 1, outside: 5, count: 1},
      {inside: 1, outside: 6, count: 1},
    ]
    assert.throws(() => overlayMap('raw.idmap', map, twice), /overlap/)
  })
})

describe('conversions', () => {
  const map = [
    {inside: 0, outside: 1000, count: 1},
    {inside: 1, outside: 100_000, count: 10},
  ]

  it('lead to the host and back', () => {
    for (const [inside, outside] of [
      [0, 1000],
      [1, 100_000],
      [10, 100_009],
    ] as const) {
      assert.equal(toHost(map, inside), outside)
      assert.equal(toContainer(map, outside), inside)
    }
    assert.equal(toHost(map, 11), undefined)
    assert.equal(toContainer(map, 1001), undefined)
    assert.equal(toContainer(map, 99_999), undefined)
  })

  it("read and write the kernel's form", () => {
    assert.equal(formatIdMap(map), '0 1000 1\n1 100000 10\n')
    assert.deepEqual(parseProcIdMap('         0       1000          1\n         1     100000         10\n'), map)
    assert.equal(isInitialUserNamespace(parseProcIdMap('         0          0 4294967295\n')), true)
    assert.equal(isInitialUserNamespace(map), false)
  })

  it("cut lines at the parent's boundaries", () => {
    assert.deepEqual(splitByParent('--uid-map', [{inside: 0, outside: 0, count: 5}], map), [
      {inside: 0, outside: 0, count: 1},
      {inside: 1, outside: 1, count: 4},
    ])
    assert.throws(
      () => splitByParent('--uid-map', [{inside: 0, outside: 5, count: 20}], map),
      /id 11 is not one of yours/,
    )
  })
})
