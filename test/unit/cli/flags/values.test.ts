import assert from 'node:assert/strict'

import * as read from '../../../../src/cli/flags/values.js'
import {UsageError} from '../../../../src/errors.js'

function outcome<T>(parse: () => T): T | string {
  try {
    return parse()
  } catch (error) {
    assert.ok(error instanceof UsageError)
    return `${error.name}: ${error.message}`
  }
}

function table<T>(
  title: string,
  parse: (flag: string, text: string) => T,
  rows: readonly [string, T | string][],
): void {
  describe(title, () => {
    for (const [text, expected] of rows) {
      it(`reads ${JSON.stringify(text)}`, () => {
        assert.deepEqual(
          outcome(() => parse('flag', text)),
          expected,
        )
      })
    }
  })
}

const extent = (inside: number, outside: number, count: number) => ({inside, outside, count})
const bind = (source: string, target?: string, readOnly = false, shift?: true) => ({
  source: Buffer.from(source),
  target: target === undefined ? undefined : Buffer.from(target),
  readOnly,
  shift,
})

table('parseSize', read.parseSize, [
  ['1', 1],
  ['256M', 256 * 1024 ** 2],
  ['256m', 256 * 1024 ** 2],
  ['1.5G', 1.5 * 1024 ** 3],
  ['64MiB', 64 * 1024 ** 2],
  ['64MB', 64_000_000],
  ['2T', 2 * 1024 ** 4],
  ['100B', 100],
  ['10 k', 10_240],
  ['', 'UsageError: --flag: "" is not a size'],
  ['-1', 'UsageError: --flag: "-1" is not a size'],
  ['1e9', 'UsageError: --flag: "1e9" is not a size'],
  ['12X', 'UsageError: --flag: "12X" is not a size'],
  ['0', 'UsageError: --flag: "0" is not a size that can be'],
  ['99999999999T', 'UsageError: --flag: "99999999999T" is not a size that can be'],
])

table('parseBind', read.parseBind, [
  ['/a', bind('/a')],
  ['a/b:/c', bind('a/b', '/c')],
  ['/a:/b:ro', bind('/a', '/b', true)],
  ['/a:/b:rw,shift', bind('/a', '/b', false, true)],
  ['/a::ro', bind('/a', undefined, true)],
  ['/a\\:b:/c', bind('/a:b', '/c')],
  ['\udcff:/c', {...bind('x', '/c'), source: Buffer.of(0xff)}],
  ['', 'UsageError: --flag: "" is not a path'],
  ['/a:b', 'UsageError: --flag: "b" is not an absolute path in the container'],
  ['/a:/b:rx', 'UsageError: --flag /a:/b:rx: unknown option "rx", known are ro, rw and shift'],
  ['/a:/b:ro,rw', 'UsageError: --flag /a:/b:ro,rw: ro and rw contradict each other'],
  ['/a:/b:ro:x', 'UsageError: --flag: "/a:/b:ro:x" is not SRC[:DST[:OPTS]]'],
])

table('parseIdMap', read.parseIdMap, [
  ['0:100000:65536', extent(0, 100_000, 65_536)],
  ['0:0:4294967295', extent(0, 0, 4_294_967_295)],
  ['0:1', 'UsageError: --flag: "0:1" is not an id map'],
  ['0:1:2:3', 'UsageError: --flag: "0:1:2:3" is not an id map'],
  ['0:1:0', 'UsageError: --flag: "0:1:0" is not an id map'],
  ['0:1:-1', 'UsageError: --flag: "0:1:-1" is not an id map'],
  ['1:0:4294967295', 'UsageError: --flag: "1:0:4294967295" is not an id map'],
])

table('parseUser', read.parseUser, [
  ['0', {uid: 0, gid: 0}],
  ['1000', {uid: 1000, gid: 1000}],
  ['1000:5', {uid: 1000, gid: 5}],
  ['root', 'UsageError: --flag: "root" is not UID[:GID]'],
  ['1:', 'UsageError: --flag: "1:" is not UID[:GID]'],
  ['4294967295', 'UsageError: --flag: "4294967295" is not UID[:GID]'],
])

table('parseCpus', read.parseCpus, [
  ['2', 2],
  ['0.5', 0.5],
  ['0', 'UsageError: --flag: "0" is not a number of processors'],
  ['NaN', 'UsageError: --flag: "NaN" is not a number of processors'],
])

table('parseCount', read.parseCount, [
  ['100', 100],
  ['0', 'UsageError: --flag: "0" is not a number from 1 to 4194304'],
  ['1.5', 'UsageError: --flag: "1.5" is not a number from 1 to 4194304'],
])

table('parseHostname', read.parseHostname, [
  ['build-1.example', 'build-1.example'],
  ['-x', 'UsageError: --flag: "-x" is not a host name'],
  ['a'.repeat(65), `UsageError: --flag: "${'a'.repeat(65)}" is not a host name`],
])

table('parseName', read.parseName, [
  ['build_1', 'build_1'],
  ['../x', 'UsageError: --flag: "../x" is not a name'],
  ['', 'UsageError: --flag: "" is not a name'],
])

describe('checkIdMaps', () => {
  const check = (...texts: readonly string[]) =>
    read.checkIdMaps(
      'uid-map',
      texts.map((text) => read.parseIdMap('uid-map', text)),
    )

  it('refuses extents that meet', () => {
    assert.equal(
      outcome(() => check('0:1000:10', '5:5000:1')),
      'UsageError: --uid-map: two maps hold id 5 of the container',
    )
    assert.equal(
      outcome(() => check('0:1000:10', '10:1009:1')),
      'UsageError: --uid-map: two maps hold id 1009 of the host',
    )
  })

  it('takes extents that touch', () => {
    assert.deepEqual(check('0:1000:10', '10:1010:1'), [extent(0, 1000, 10), extent(10, 1010, 1)])
  })
})

describe('environmentOf', () => {
  const own = ['PATH=/bin', 'A=1', 'TERM=xterm', 'E='].map((text) => Buffer.from(text))
  const environmentOf = (inherited: readonly Buffer[], clear: boolean, additions: readonly string[]) =>
    read.environmentOf(
      inherited,
      clear,
      additions.map((text) => read.parseVariable('env', text)),
    )
  const shown = (clear: boolean, additions: readonly string[]) =>
    outcome(() => environmentOf(own, clear, additions).map((entry) => entry.toString('latin1')))

  it('inherits and replaces in place', () => {
    assert.deepEqual(shown(false, ['A=2', 'B=x=y']), ['PATH=/bin', 'A=2', 'TERM=xterm', 'E=', 'B=x=y'])
  })

  it('keeps bytes that are no UTF-8', () => {
    assert.deepEqual(environmentOf([Buffer.from('A=\xff', 'latin1')], false, ['B=\udcfe']), [
      Buffer.from('A=\xff', 'latin1'),
      Buffer.from('B=\xfe', 'latin1'),
    ])
  })

  it('starts from a plain one with --clear-env and takes single names from ours', () => {
    assert.deepEqual(shown(true, ['A', 'NONE']), [
      'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      'HOME=/root',
      'TERM=xterm',
      'A=1',
    ])
  })

  it('refuses a variable without a name', () => {
    assert.equal(shown(false, ['=x']), 'UsageError: --env: "=x" is not K=V')
  })
})

const device = (path: string, mode?: number, owner?: {uid: number; gid: number}) => ({
  path: Buffer.from(path),
  mode,
  owner,
})
const NO_DEVICE = 'UsageError: --flag: %s is not PATH, PATH:MODE or PATH:UID:GID:MODE'

table('parseDeviceOption', read.parseDeviceOption, [
  ['/dev/fuse', device('/dev/fuse')],
  ['/dev/fuse:0666', device('/dev/fuse', 0o666)],
  ['/dev/net/tun:1000:5:660', device('/dev/net/tun', 0o660, {uid: 1000, gid: 5})],
  ['/dev/a\\:0666', device('/dev/a:0666')],
  ...['/dev/fuse:', '/dev/fuse:999', '/dev/fuse:/dev/x', '/dev/fuse:1:2', '/dev/fuse:a:1:660', '/d:1:2:3:660'].map(
    (text): [string, string] => [text, NO_DEVICE.replace('%s', JSON.stringify(text))],
  ),
])
