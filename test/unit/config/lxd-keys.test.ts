import assert from 'node:assert/strict'

import {parseConfiguration} from '../../../src/config/document.js'
import {separate} from '../../../src/config/lxd-keys.js'
import {UsageError} from '../../../src/errors.js'
import {MACHINE_ABIS} from '../../../src/kernel/abi.js'

function read(text: string): ReturnType<typeof separate> {
  const document = parseConfiguration('c.yaml', Buffer.from(text))
  assert.ok(document)
  return separate(document)
}

function failure(text: string): string {
  try {
    read(text)
  } catch (error) {
    if (error instanceof UsageError) return error.message
    throw error
  }
  throw new assert.AssertionError({message: `${text} is taken`})
}

const SHOWN = `architecture: x86_64
config:
  image.architecture: amd64
  image.description: Debian bookworm amd64
  limits.cpu: 0-3,6
  limits.memory: 256MiB
  limits.processes: "500"
  limits.memory.swap: "false"
  environment.LANG: C.UTF-8
  linux.kernel_modules: overlay,nf_nat
  linux.kernel_modules.load: ondemand
  raw.idmap: |
    both 1000 1000
    uid 50-60 500-510
  security.nesting: "false"
  security.syscalls.intercept.bpf: "true"
  security.syscalls.intercept.bpf.devices: "true"
  security.syscalls.intercept.mknod: "true"
  security.syscalls.intercept.mount: "yes"
  security.syscalls.intercept.mount.allowed: ext4, xfs
  security.syscalls.intercept.mount.fuse: ntfs=ntfs-3g
  security.syscalls.intercept.mount.shift: "1"
  security.syscalls.intercept.sched_setscheduler: "on"
  security.syscalls.intercept.setxattr: "TRUE"
  security.syscalls.intercept.sysinfo: "false"
  security.syscalls.deny: |-
    mknod errno 1
    reboot
  user.comment: hello
  volatile.base_image: 01ab
devices:
  root: {path: /, pool: default, type: disk}
  eth0: {name: eth0, type: nic}
  fuse: {path: /dev/fuse, type: unix-char}
  tun: {path: /dev/net/tun, type: unix-char, gid: "5", mode: "0666"}
  data: {path: /data, source: "/srv/a:b", type: disk, readonly: "true"}
ephemeral: false
profiles:
- default
stateful: false
description: ""
`

describe('separate', () => {
  it('takes what lxc config show prints', () => {
    const {own, lxd} = read(SHOWN)
    assert.deepEqual(own, {})
    assert.deepEqual(lxd.values, {
      cpus: '5',
      memory: '256MiB',
      pids: '500',
      env: ['LANG=C.UTF-8'],
      'finit-module': ['overlay', 'nf_nat'],
      bpf: true,
      'bpf-devices': true,
      mknod: true,
      mount: true,
      'mount-allowed': ['ext4', 'xfs'],
      'mount-fuse': ['ntfs=ntfs-3g'],
      'mount-shift': true,
      'sched-setscheduler': true,
      setxattr: true,
      device: ['/dev/fuse', '/dev/net/tun:0:5:0666'],
      bind: ['/srv/a\\:b:/data:ro'],
    })
    assert.deepEqual(lxd.idMap, {
      uid: [
        {inside: 1000, outside: 1000, count: 1},
        {inside: 500, outside: 50, count: 11},
      ],
      gid: [{inside: 1000, outside: 1000, count: 1}],
    })
    assert.equal(lxd.denied?.defaults, true)
    assert.deepEqual(lxd.denied.rules.find(({name, abi}) => name === 'reboot' && abi === MACHINE_ABIS[0])?.action, {
      kind: 'kill-process',
    })
    assert.deepEqual(lxd.passed, [
      'devices.root',
      'devices.eth0',
      'image.architecture',
      'image.description',
      'limits.memory.swap',
      'security.nesting',
      'user.comment',
      'volatile.base_image',
    ])
  })

  it('takes keys beside those of ours', () => {
    const {own, lxd} = read('name: x\nsecurity.syscalls.intercept.mknod: true\n')
    assert.deepEqual(own, {name: 'x'})
    assert.deepEqual(lxd.values, {mknod: true})
    assert.equal(lxd.denied, undefined)
  })

  it('needs both keys of a family, as LXD does', () => {
    const keys = (name: string) => `security.syscalls.intercept.${name}`
    assert.deepEqual(read(`${keys('mount.allowed')}: ext4\n${keys('mount.shift')}: true\n`).lxd.values, {})
    assert.deepEqual(read(`${keys('mount')}: false\n${keys('mount.fuse')}: ext4=fuse2fs\n`).lxd.values, {})
    assert.deepEqual(read(`${keys('bpf.devices')}: true\n`).lxd.values, {})
    assert.deepEqual(read(`${keys('bpf')}: true\n`).lxd.values, {bpf: true})
    assert.deepEqual(read('linux.kernel_modules: overlay\n').lxd.values, {})
    assert.deepEqual(read('linux.kernel_modules: overlay\nlinux.kernel_modules.load: boot\n').lxd.passed, [
      'linux.kernel_modules',
    ])
  })

  it('reads the older names of Incus', () => {
    const {denied} = read('security.syscalls.blacklist: reboot\nsecurity.syscalls.blacklist_default: false\n').lxd
    assert.equal(denied?.defaults, false)
    assert.ok(denied.rules.every(({name}) => name === 'reboot'))
    assert.match(
      failure('security.syscalls.blacklist: a\nsecurity.syscalls.deny: b\n'),
      /:2: security\.syscalls\.deny is given twice/,
    )
  })

  it('takes a share of the memory', () => {
    const {memory} = read('limits.memory: 50%\n').lxd.values
    assert.match(String(memory), /^\d{8,}$/)
  })

  const wrong: readonly (readonly [string, RegExp])[] = [
    ['security.syscalls.intercept.mknod: maybe\n', /:1: security\.syscalls\.intercept\.mknod must be true or false/],
    ['security.syscalls.intercept.mount.shift: 2\n', /must be true or false/],
    ['\nsecurity.syscalls.intercept.mknd: true\n', /:2: unknown key "security\.syscalls\.intercept\.mknd"/],
    ['config:\n  security.privileged: "true"\n', /:2: security\.privileged would change what is allowed/],
    ['security.nesting: true\n', /would change what is allowed/],
    ['raw.lxc: lxc.cap.drop=\n', /raw\.lxc would change what is allowed/],
    ['raw.seccomp: "2"\n', /raw\.seccomp would change what is allowed/],
    ['nvidia.runtime: true\n', /would change what is allowed/],
    ['security.syscalls.allow: read\nsecurity.syscalls.deny: write\n', /contradict each other/],
    ['security.syscalls.allow: read\nsecurity.syscalls.deny_default: true\n', /contradict each other/],
    ['security.syscalls.allow: read\n', /has no counterpart here/],
    ['security.syscalls.deny: mknodd errno 1\n', /:1: security\.syscalls\.deny: "mknodd" is no system call/],
    ['security.syscalls.deny: mknod refuse\n', /what is done must be kill, trap, allow or errno/],
    ['security.syscalls.deny: mknod errno 1 [1,2]\n', /conditions are as/],
    ['limits.memory: lots\n', /limits\.memory must be a size/],
    ['limits.cpu: a-b\n', /limits\.cpu must be a number/],
    ['linux.kernel_modules.load: later\n', /must be boot or ondemand/],
    ['raw.idmap: both 1\n', /raw\.idmap: "both 1" is not as/],
    ['raw.idmap: both 1-5 1-4\n', /differ in size/],
    ['raw.idmap: root 1 1\n', /neither uid, gid nor both/],
    ['config: [a]\n', /config must hold key: value lines/],
    ['config:\n  mknod: true\n', /:2: unknown key "mknod"/],
    ['user.x: [a]\n', /user\.x must be a text/],
    ['devices:\n  gpu: {type: gpu}\n', /:2: device gpu of type gpu can't be given to a command/],
    ['devices:\n  d: {type: disk, path: /x, pool: p, source: v}\n', /can't be given to a command/],
    ['devices:\n  d: {type: unix-char, path: /dev/x, source: /dev/sda}\n', /can't be given to a command/],
  ]
  for (const [text, message] of wrong)
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.match(failure(text), message)
    })
})
