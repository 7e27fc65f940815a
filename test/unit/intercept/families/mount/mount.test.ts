// What may be mounted, and how flags and options are read: pure functions.

import assert from 'node:assert/strict'

import {
  MOUNT_CONDITION,
  fuseWords,
  mountAttributes,
  plainFlags,
  remountAttributes,
  remountWords,
  superBlockWords,
} from '../../../../../src/intercept/families/mount/flags.js'
import {
  dangerOf,
  ownOptions,
  parseOptions,
  withOwnOptions,
} from '../../../../../src/intercept/families/mount/options.js'
import {layersOf} from '../../../../../src/intercept/families/mount/overlay/layers.js'
import {isSystemError} from '../../../../../src/ffi/errors.js'
import type {MountPolicy} from '../../../../../src/intercept/families/mount/policy.js'
import type {CallerFacts} from '../../../../../src/intercept/family.js'
import {decideMount} from '../../../../../src/intercept/families/mount/decide.js'

const policy: MountPolicy = {
  allowed: ['ext4', 'overlay', 'tmpfs'],
  fuse: {squashfs: 'squashfuse'},
  shift: false,
  sources: ['/dev/loop0'],
}
const root: CallerFacts = {uid: 0, gid: 0, effective: 1n << 21n, inContainerUserNamespace: true}

interface Call {
  readonly type?: string | null
  readonly flags?: number
  readonly data?: string
}

function decide({type = 'ext4', flags = 0, data}: Call, facts = root, rootless = false) {
  const bytes = (text: string | null | undefined) => (typeof text !== 'string' ? null : Buffer.from(text))
  const values = {source: bytes('/dev/loop0'), target: Buffer.from('/mnt'), type: bytes(type), flags, data: bytes(data)}
  return decideMount(values, facts, policy, {rootless})
}

describe('decideMount', () => {
  it('performs what is on a list', () => {
    assert.deepEqual(decide({}), {kind: 'perform', reason: 'ext4 is allowlisted'})
    assert.deepEqual(decide({type: 'squashfs'}), {kind: 'perform', reason: 'squashfs is mounted with squashfuse'})
    assert.equal(decide({type: 'overlay', data: 'lowerdir=/a:/b'}).kind, 'perform')
  })

  it('refuses types of the host that are on none, with the flag that would allow them', () => {
    const verdict = decide({type: 'xfs'})
    assert.deepEqual(verdict, {
      kind: 'refuse',
      errno: 1,
      reason: 'xfs is not allowlisted',
      hint: {flag: '--mount-allowed', value: 'xfs'},
    })
  })

  it('leaves to the kernel what is its own', () => {
    const calls: readonly Call[] = [
      {type: 'proc'},
      {type: 'tmpfs'},
      {type: 'no-such-type'},
      {type: 'constructor'},
      {type: null},
      {type: 'overlay', data: 'lowerdir=/a,userxattr'},
      {flags: 4096},
      {flags: 1 << 18},
    ]
    for (const call of calls) assert.equal(decide(call).kind, 'continue', JSON.stringify(call))
  })

  it('looks past the magic number of old programs', () => {
    assert.equal(decide({flags: 0xc0ed0001}).kind, 'perform')
    assert.equal(plainFlags(0xc0ed0401), 0x401)
    assert.equal(decide({flags: 0xc0ed1000}).kind, 'continue')
  })

  it('wants CAP_SYS_ADMIN in the user namespace of the container', () => {
    assert.equal(decide({}, {...root, effective: 0n}).kind, 'refuse')
    assert.equal(decide({type: 'squashfs'}, {...root, effective: 0n}).kind, 'refuse')
    assert.equal(decide({}, {...root, inContainerUserNamespace: false}).kind, 'continue')
  })

  it('tells an ordinary user which program would serve', () => {
    const verdict = decide({}, root, true)
    assert.deepEqual(verdict.kind === 'refuse' && verdict.hint, {flag: '--mount-fuse', value: 'ext4=fuse2fs'})
    assert.equal(decide({type: 'squashfs'}, root, true).kind, 'perform')
    assert.equal(decide({type: 'overlay'}, root, true).kind, 'continue')
  })

  it('refuses options that would end the host or open one more device', () => {
    for (const data of [
      'errors=panic',
      'ro,errors=panic',
      'journal_dev=0x801',
      'journal_path=/dev/sda',
      'noatime,device=/dev/sda',
    ])
      assert.equal(decide({data}).kind, 'refuse', data)
    for (const data of ['errors=remount-ro', 'errors=continue', '', 'panic'])
      assert.equal(decide({data}).kind, 'perform', data)
  })
})

describe('options of mount', () => {
  const parse = (text: string, type = 'ext4') => parseOptions(Buffer.from(text), type)

  it('are split as the kernel splits them', () => {
    assert.deepEqual(parse('a,,b=1,=x,c=,d=1=2,'), [
      {key: 'a'},
      {key: 'b', value: '1'},
      {key: 'c', value: ''},
      {key: 'd', value: '1=2'},
    ])
    assert.deepEqual(parse(''), [])
  })

  it('keep an escaped comma for overlay alone', () => {
    assert.deepEqual(parse('lowerdir=/a\\,b:/c,ro', 'overlay'), [{key: 'lowerdir', value: '/a\\,b:/c'}, {key: 'ro'}])
    assert.deepEqual(parse('x=/a\\,b', 'ext4'), [{key: 'x', value: '/a\\'}, {key: 'b'}])
    assert.deepEqual(parse('lowerdir=/a\\', 'overlay'), [{key: 'lowerdir', value: '/a\\'}])
  })

  const map = [{inside: 0, outside: 100_000, count: 65_536}]
  const caller = {uid: 100_000, gid: 100_001}
  const withOwn = (text: string | null, type: string) =>
    withOwnOptions(text === null ? null : Buffer.from(text), type, caller, {uidMap: map, gidMap: map})?.toString()

  it('come after those that are ours, which nothing can cut off', () => {
    const cases: readonly (readonly [string, string | null, string | undefined])[] = [
      ['ext4', null, 'errors=remount-ro'],
      ['ext3', '', 'errors=remount-ro'],
      ['ext2', 'noload', 'errors=remount-ro,noload'],
      ['ext4', 'errors=continue,noload', 'errors=remount-ro,errors=continue,noload'],
      ['ext4', ',,,', 'errors=remount-ro,,,,'],
      ['btrfs', 'subvol=a', 'subvol=a'],
      ['xfs', null, undefined],
    ]
    for (const [type, data, expected] of cases) assert.equal(withOwn(data, type), expected, `${type} ${data}`)
    assert.deepEqual(ownOptions('xfs', caller), [])
  })

  it('are dangerous whatever their case and place', () => {
    assert.equal(dangerOf(parse('fatal_errors=panic', 'btrfs')) === undefined, false)
    assert.equal(dangerOf(parse('fatal_errors=bug', 'btrfs')) === undefined, false)
    assert.equal(dangerOf(parse('subvol=panic-room')), undefined)
  })

  it('are dangerous by their value for each file system that can stop the host', () => {
    const dangerous: Readonly<Record<string, readonly string[]>> = {
      'ext2 ext3 ext4': ['errors=panic', 'journal_dev=0x801', 'journal_path=/dev/sda', 'errors=continue,errors=panic'],
      btrfs: ['fatal_errors=panic', 'fatal_errors=bug', 'device=/dev/sda'],
      'exfat f2fs gfs2 hpfs jfs nilfs2 ocfs2 vfat': ['errors=panic'],
      ubifs: ['assert=panic'],
      ufs: ['onerror=panic'],
      reiserfs: ['jdev=/dev/sda'],
      xfs: ['logdev=/dev/sda', 'rtdev=/dev/sda'],
      erofs: ['device=/dev/sda'],
      '9p': ['trans=fd,rfdno=3,wfdno=3'],
      fuseblk: ['fd=3'],
    }
    for (const [types, texts] of Object.entries(dangerous)) {
      for (const type of types.split(' ')) {
        for (const text of texts) assert.equal(typeof dangerOf(parse(text, type)), 'string', `${type} ${text}`)
      }
    }
  })

  it('M9: carry the ids of the container into a hugetlbfs', () => {
    const own = 'uid=100000,gid=100001'
    const cases: readonly (readonly [string | null, string | undefined])[] = [
      [null, own],
      ['', own],
      ['size=2M', `${own},size=2M`],
      ['uid=0,gid=0', `${own},uid=100000,gid=100000`],
      ['uid=1', `${own},uid=100001`],
      ['gid=1,mode=0755', `${own},gid=100001,mode=0755`],
      ['uid=0x10,gid=010', `${own},uid=100016,gid=100008`],
      ['uid=+7', `${own},uid=100007`],
      ['uid', `${own},uid`],
      // kstrtouint() takes none of these, and make_kuid() has no id of the host for the last ones.
      ...['bad', '', '08', '0x', '-1', '1 ', ' 1', '0o7', '1e3', '70000', '0xffffffff', '99999999999999999999'].flatMap(
        (id): [string, undefined][] => [
          [`uid=${id}`, undefined],
          [`uid=0,gid=${id}`, undefined],
        ],
      ),
    ]
    for (const [data, expected] of cases) assert.equal(withOwn(data, 'hugetlbfs'), expected, String(data))
  })
})

describe('the directories of an overlay', () => {
  const split = (key: string, value?: string): string | undefined => {
    try {
      const layers = layersOf(value === undefined ? {key} : {key, value})
      return layers?.map((layer) => `${layer.key} ${layer.path}`).join(', ') ?? 'none of them'
    } catch (error) {
      return isSystemError(error, 22) ? undefined : String(error)
    }
  }

  it('are split and unescaped as the kernel does it', () => {
    const cases: readonly (readonly [string, string | undefined, string | undefined])[] = [
      ['lowerdir', '/a', 'lowerdir+ /a'],
      ['lowerdir', '/a:b', 'lowerdir+ /a, lowerdir+ b'],
      ['lowerdir', '/a::/b::/c', 'lowerdir+ /a, datadir+ /b, datadir+ /c'],
      ['lowerdir', '/a::/b:/c', 'lowerdir+ /a, datadir+ /b, lowerdir+ /c'],
      ['lowerdir', String.raw`/a\:b:/c\\:/d\,\e`, String.raw`lowerdir+ /a:b, lowerdir+ /c\, lowerdir+ /d,e`],
      ['lowerdir', '/a\\', 'lowerdir+ /a'],
      ['lowerdir', '', ''],
      ['lowerdir+', String.raw`/a\:b:c`, String.raw`lowerdir+ /a\:b:c`],
      ['datadir+', '/a:b', 'datadir+ /a:b'],
      ['upperdir', String.raw`/a\:b:c`, 'upperdir /a:b:c'],
      ['workdir', '/w', 'workdir /w'],
      ['redirect_dir', 'on', 'none of them'],
      ['Lowerdir', '/a', 'none of them'],
      ['userxattr', undefined, 'none of them'],
    ]
    for (const [key, value, expected] of cases) assert.equal(split(key, value), expected, `${key}=${value}`)
  })

  it('are refused as the kernel refuses them', () => {
    for (const value of [':/a', '::/a', '/a:', '/a::', '/a:::/b', ':', '\\', '/a:\\']) {
      assert.equal(split('lowerdir', value), undefined, value)
    }
    for (const key of ['lowerdir+', 'datadir+', 'upperdir', 'workdir']) {
      assert.equal(split(key, ''), undefined, key)
      assert.equal(split(key), undefined, key)
    }
    assert.equal(split('lowerdir'), undefined)
    assert.notEqual(split('lowerdir', Array(500).fill('/a').join(':')), undefined)
    assert.equal(split('lowerdir', Array(501).fill('/a').join(':')), undefined)
  })
})

describe('flags of mount', () => {
  it('become attributes with their own meaning, not with their own number', () => {
    assert.equal(mountAttributes(0), 0)
    assert.equal(mountAttributes(1 | 2 | 4 | 8), 0xf)
    assert.equal(mountAttributes(16), 0, 'MS_SYNCHRONOUS is of the super block')
    assert.equal(mountAttributes(128), 0, 'MS_DIRSYNC too')
    assert.equal(mountAttributes(256), 0x200000)
    assert.equal(mountAttributes(1024), 0x10)
    assert.equal(mountAttributes(2048), 0x80)
    assert.equal(mountAttributes(1 << 21), 0, 'MS_RELATIME is the default')
    assert.equal(mountAttributes((1 << 24) | 1024), 0x20, 'MS_STRICTATIME wins')
    assert.equal(mountAttributes(32768), 0, 'MS_SILENT is nothing')
  })

  it('become words of the super block', () => {
    assert.deepEqual(superBlockWords(1 | 16 | 64 | 128 | (1 << 25) | 1024), [
      'ro',
      'sync',
      'mand',
      'lazytime',
      'dirsync',
    ])
    assert.deepEqual(remountWords(1), ['ro', 'async', 'nomand', 'nolazytime'])
  })

  it('leave access times alone in a remount that does not name them', () => {
    assert.deepEqual(remountAttributes(1), {set: 1, clear: 8 | 0x200000})
    assert.deepEqual(remountAttributes(8 | 1024), {set: 8 | 0x10, clear: 1 | 0x200000 | 0x70 | 0x80})
  })

  it('become the words that FUSE programs know', () => {
    assert.deepEqual(fuseWords(1 | 2 | 4 | 8 | 16 | 1024 | 2048), [
      'ro',
      'nosuid',
      'nodev',
      'noexec',
      'sync',
      'noatime',
    ])
  })

  it('are matched by the filter for new mounts and remounts alone', () => {
    const matches = (flags: number) =>
      MOUNT_CONDITION.some((group) =>
        group.every(({mask, value}) => (BigInt(flags >>> 0) & (mask ?? 0xffff_ffffn)) === value),
      )
    for (const flags of [0, 1, 32, 256, 0xc0ed0000, 0xc0ed0021, 16384])
      assert.equal(matches(flags), true, String(flags))
    for (const flags of [4096, 8192, 1 << 17, 1 << 18, (1 << 19) | 16384, 1 << 20, 0xc0ed1000, 4096 | 32])
      assert.equal(matches(flags), false, String(flags))
  })
})
