// Inside another container, as CI has it: with the masks, capabilities and filter of a default one, made by runc.

import assert from 'node:assert/strict'
import {mkdirSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {INTERCEPTOR, programIn} from '../../helpers/program.js'
import {skipUnlessPrivileged, skipUnlessPrograms} from '../../helpers/skip.js'
import {temporaryDirectories} from '../../helpers/temporary.js'

/** What container programs hide and fix of /proc by default (runtime-spec, maskedPaths and readonlyPaths). */
const MASKED = ['/proc/acpi', '/proc/kcore', '/proc/keys', '/proc/timer_list', '/sys/firmware']
const READ_ONLY = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger']
/** Those of a default container of root. */
const CAPABILITIES = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_NET_BIND_SERVICE',
  'CAP_SETFCAP',
  'CAP_SETGID',
  'CAP_SETPCAP',
  'CAP_SETUID',
  'CAP_SYS_CHROOT',
]
/** What a profile denies without CAP_SYS_ADMIN. */
const NAMESPACE_CALLS = [
  'mount',
  'pivot_root',
  'setns',
  'sethostname',
  'umount2',
  'unshare',
  'open_tree',
  'move_mount',
  'fsopen',
]
const CLONE_NEWUSER = 0x1000_0000

interface Outer {
  readonly masks?: boolean
  readonly filter?: 'as-docker' | 'no-clone3' | 'no-sethostname'
  readonly uid?: number
}

describe('interceptor in a container of runc', () => {
  skipUnlessPrivileged()
  skipUnlessPrograms('runc')
  const temporary = temporaryDirectories()

  function inside({masks = true, filter, uid = 0}: Outer, ...words: readonly string[]) {
    const bundle = temporary()
    mkdirSync(join(bundle, 'rootfs'))
    const command = [process.execPath, INTERCEPTOR, 'run', '--mknod', ...words]
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(configuration({command, masks, filter, uid})))
    // The host's own tree, under the mounts of the outer container.
    const script = [
      'mount --rbind / "$0/rootfs" && mount --make-rprivate "$0/rootfs"',
      'for each in proc sys dev; do umount -lR "$0/rootfs/$each"; done',
      'exec runc run --bundle "$0" "$1"',
    ].join('\n')
    return programIn({}, 'unshare', '-m', 'sh', '-c', script, bundle, `interceptor-test-${process.pid}-${Date.now()}`)
  }

  it('works without the masks, with all ids of the outer container', () => {
    const script = 'id -u; mknod n c 1 3 && stat -c %t:%T n && echo x > n && chown 7 n && rm n; cat /proc/self/uid_map'
    const {status, stdout, stderr} = inside({masks: false}, '--', 'sh', '-c', script)
    assert.equal(status, 0, stderr)
    assert.match(stdout, /^0\n1:3\n\s+0\s+0\s+65536\n$/u)
  })

  it('names the option that unmasks /proc, where that alone is missing', () => {
    const {status, stderr} = inside({}, '--', 'true')
    assert.equal(status, 125)
    assert.match(
      stderr,
      /^interceptor: cannot mount proc on \/proc: .*\nhint: start the outer container with: docker run --security-opt systempaths=unconfined\n$/mu,
    )
  })

  it('names all options at once, where namespaces are filtered as well', () => {
    const {status, stderr} = inside({filter: 'as-docker'}, '--', 'true')
    assert.equal(status, 125)
    assert.match(
      stderr,
      /^interceptor: cannot make a user namespace: .*\nhint: start the outer container with: docker run --security-opt seccomp=unconfined --security-opt systempaths=unconfined\n$/mu,
    )
  })

  it('works where clone3 is hidden', () => {
    const {status, stdout, stderr} = inside({masks: false, filter: 'no-clone3'}, '--', 'echo', 'works')
    assert.deepEqual({status, stdout}, {status: 0, stdout: 'works\n'}, stderr)
  })

  it('works without a host name of its own, unless one is asked for', () => {
    const {status, stdout, stderr} = inside({masks: false, filter: 'no-sethostname'}, '--', 'echo', 'works')
    assert.deepEqual({status, stdout}, {status: 0, stdout: 'works\n'}, stderr)
    const asked = inside({masks: false, filter: 'no-sethostname'}, '--hostname', 'inner', '--', 'true')
    assert.equal(asked.status, 125)
    assert.match(asked.stderr, /cannot set the host name inner: .*\nhint: .*--security-opt seccomp=unconfined\n$/u)
  })

  it('works for an ordinary user of the outer container', () => {
    const {status, stdout} = inside({masks: false, uid: 12_345}, '--', 'cat', '/proc/self/uid_map')
    assert.equal(status, 0)
    assert.match(stdout, /^\s+0\s+0\s+1\n$/u)
  })
})

function configuration({
  command,
  masks,
  filter,
  uid,
}: {
  command: readonly string[]
  masks: boolean
  filter: Outer['filter']
  uid: number
}) {
  const capabilities = uid === 0 ? CAPABILITIES : []
  const tmpfs = (destination: string) => ({
    destination,
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['nosuid', `uid=${uid}`, 'mode=700'],
  })
  return {
    ociVersion: '1.0.2',
    process: {
      user: {uid, gid: uid},
      args: command,
      env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/root'],
      cwd: '/var/tmp',
      capabilities: {bounding: CAPABILITIES, effective: capabilities, permitted: capabilities},
    },
    root: {path: 'rootfs', readonly: false},
    mounts: [
      {destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev']},
      {destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'strictatime', 'mode=755']},
      {
        destination: '/dev/pts',
        type: 'devpts',
        source: 'devpts',
        options: ['newinstance', 'ptmxmode=0666', 'mode=0620'],
      },
      {destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro']},
      tmpfs('/var/tmp'),
    ],
    linux: {
      cgroupsPath: `/interceptor-test-${process.pid}`,
      namespaces: ['pid', 'ipc', 'uts', 'mount'].map((type) => ({type})),
      maskedPaths: masks ? MASKED : [],
      readonlyPaths: masks ? READ_ONLY : [],
      ...(filter && {seccomp: seccomp(filter)}),
    },
  }
}

function seccomp(filter: NonNullable<Outer['filter']>) {
  const deny = (names: readonly string[], errnoRet: number, args: readonly object[] = []) => ({
    names,
    action: 'SCMP_ACT_ERRNO',
    errnoRet,
    args,
  })
  const clone = deny(['clone'], 1, [
    {index: 0, value: CLONE_NEWUSER, valueTwo: CLONE_NEWUSER, op: 'SCMP_CMP_MASKED_EQ'},
  ])
  const rules = {
    'as-docker': [deny(NAMESPACE_CALLS, 1), deny(['clone3'], 38), clone],
    'no-clone3': [deny(['clone3'], 38)],
    'no-sethostname': [deny(['sethostname'], 1)],
  }
  return {defaultAction: 'SCMP_ACT_ALLOW', syscalls: rules[filter]}
}
