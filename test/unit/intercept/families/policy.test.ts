// What the flags of each family come to, without a look at the host.

import assert from 'node:assert/strict'

import {UsageError} from '../../../../src/errors.js'
import type {FlagValues} from '../../../../src/flag.js'
import {FAMILIES} from '../../../../src/intercept/families/index.js'
import type {PolicyContext} from '../../../../src/intercept/policy.js'

/** A host with one device and one directory. */
const context: PolicyContext = {
  deviceAt(path) {
    if (path === '/dev/fuse') return {type: 'c', major: 10, minor: 229}
    if (path === '/dev') return undefined
    throw new Error('no such file')
  },
  blockDevices: () => ['/dev/vdb'],
  absolute: (path) => (path.startsWith('/') ? path : `/here/${path}`),
}

function partOf(name: string, values: FlagValues): unknown {
  const family = FAMILIES.find((each) => each.name === name)
  assert.ok(family)
  return family.policy.fromFlags(values, context)
}

function refusalOf(name: string, values: FlagValues): string {
  try {
    partOf(name, values)
  } catch (error) {
    assert.ok(error instanceof UsageError)
    return [error.message, ...error.hints].join(' | ')
  }
  throw new assert.AssertionError({message: `${JSON.stringify(values)} is taken`})
}

describe('the policy of a family', () => {
  for (const {name, flag, policy} of FAMILIES) {
    it(`is off without a flag (${name})`, () => {
      assert.equal(policy.fromFlags({}, context), undefined)
    })

    it(`names its own flags, which are flags of interception (${name})`, () => {
      assert.equal(flag, policy.flags[0] === undefined ? '' : `--${policy.flags[0].name}`)
      for (const each of policy.flags) {
        assert.equal(each.group, 'Interception')
        assert.deepEqual([...each.commands].sort(), ['check', 'exec', 'explain', 'run'])
      }
    })

    it(`is switched on by its first flag where that is a switch (${name})`, () => {
      const [first] = policy.flags
      if (first?.kind === 'switch') assert.notEqual(policy.fromFlags({[first.name]: true}, context), undefined)
    })
  }

  it('is that of one flag alone', () => {
    const names = FAMILIES.flatMap(({policy}) => policy.flags.map(({name}) => name))
    assert.deepEqual(
      names.filter((name, index) => names.indexOf(name) !== index),
      [],
    )
  })
})

describe('--mknod-allow', () => {
  it('looks up the node of a path', () => {
    const {devices} = partOf('mknod', {'mknod-allow': ['/dev/fuse']}) as {devices: readonly unknown[]}
    assert.deepEqual(devices.at(-1), {type: 'c', major: 10, minor: 229})
  })

  it('refuses a path that is no device node', () => {
    assert.equal(refusalOf('mknod', {'mknod-allow': ['/dev']}), "cannot read device '/dev': not a device node")
    assert.match(
      refusalOf('mknod', {'mknod-allow': ['/none']}),
      /^cannot read device '\/none' \| name it by its numbers/,
    )
  })
})

describe('--setxattr-allow', () => {
  it('takes whole names below trusted.', () => {
    assert.deepEqual(partOf('setxattr', {'setxattr-allow': ['trusted.overlay.redirect']}), {
      names: ['trusted.overlay.opaque', 'trusted.overlay.redirect'],
    })
  })

  const wrong = ['', 'trusted.', 'trusted.*', 'user.x', 'trusted', 'trusted.a b', 'trusted.\u00fc']
  for (const text of [...wrong, `trusted.${'x'.repeat(240)}`]) {
    it(`refuses ${JSON.stringify(text.slice(0, 20))}`, () => {
      assert.match(refusalOf('setxattr', {'setxattr-allow': [text]}), /is not the name of a trusted attribute/)
    })
  }

  it('refuses security.* and says why', () => {
    const words = refusalOf('setxattr', {'setxattr-allow': ['security.capability']})
    assert.match(words, /the host itself would act on it/)
  })
})

describe('--sched-max-priority', () => {
  it('takes priorities that there are', () => {
    assert.deepEqual(partOf('sched', {'sched-max-priority': '99'}), {maxPriority: 99})
    assert.deepEqual(partOf('sched', {'sched-deadline': true}), {maxPriority: 50, deadline: true})
  })

  for (const text of ['0', '100', '-1', ''])
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.equal(
        refusalOf('sched', {'sched-max-priority': text}),
        `--sched-max-priority: ${JSON.stringify(text)} is not a real-time priority | give a number from 1 to 99`,
      )
    })
})

describe('--finit-module', () => {
  it('takes names of modules, once each', () => {
    assert.deepEqual(partOf('modules', {'finit-module': ['nf-nat-ftp', 'loop', 'nf_nat_ftp']}), {
      names: ['nf_nat_ftp', 'loop'],
    })
  })

  for (const text of ['loop.ko/', '-r', ''])
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.match(refusalOf('modules', {'finit-module': [text]}), /is not the name of a kernel module/)
    })
})

describe('--mount', () => {
  it('takes sources from where it is started, and block devices of --device', () => {
    const values = {'mount-allowed': ['ext4', 'xfs', 'ext4'], 'mount-fuse': ['ntfs=a=b'], 'mount-source': ['disk.img']}
    assert.deepEqual(partOf('mount', values), {
      allowed: ['ext4', 'xfs'],
      fuse: {ntfs: 'a=b'},
      shift: false,
      sources: ['/here/disk.img', '/dev/vdb'],
    })
  })

  const wrong: readonly (readonly [FlagValues, string])[] = [
    [
      {'mount-allowed': ['ext4/']},
      '--mount-allowed: "ext4/" is no type of file system | types are those of /proc/filesystems, for example ext4',
    ],
    [
      {'mount-fuse': ['ext4']},
      '--mount-fuse "ext4" names no file system and program | write it as FS=HELPER, for example ext4=fuse2fs',
    ],
    [
      {'mount-allowed': ['ext4'], 'mount-fuse': ['ext4=fuse2fs']},
      '--mount-allowed and --mount-fuse both name ext4 | let either the kernel or a FUSE program mount it',
    ],
    [{'mount-source': ['']}, '--mount-source: "" is not a path'],
  ]
  for (const [values, words] of wrong)
    it(`refuses ${JSON.stringify(values)}`, () => {
      assert.equal(refusalOf('mount', values), words)
    })
})
