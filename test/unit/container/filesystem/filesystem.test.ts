import assert from 'node:assert/strict'

import {planFilesystem} from '../../../../src/container/filesystem/index.js'
import type {FilesystemOptions, FilesystemPlan} from '../../../../src/container/filesystem/index.js'
import type {FileFacts, Host, MountPoint} from '../../../../src/container/filesystem/host.js'
import {UsageError} from '../../../../src/errors.js'

const MAP = [{inside: 0, outside: 100_000, count: 65_536}]

const DEFAULTS: FilesystemOptions = {
  rootless: false,
  uidMap: MAP,
  gidMap: MAP,
  rootfs: undefined,
  currentDirectory: Buffer.from('/srv/build'),
  bindCurrentDirectory: true,
  hidden: [],
  binds: [],
  tmpfs: [],
  devices: [],
  shown: [],
  nodes: [],
  workdir: undefined,
  readOnly: false,
  network: 'host',
  opensNodes: false,
  terminal: undefined,
}

/** `d755`, `d700:UID:GID`, `f644`, `c`, `b`, or `-> TARGET`, by path. */
type Tree = Readonly<Record<string, string>>

const TYPES = {d: 'directory', f: 'file', c: 'character', b: 'block'} as const

const BASE: Tree = {
  '/': 'd755',
  '/dev': 'd755',
  '/dev/null': 'c',
  '/dev/zero': 'c',
  '/dev/tty': 'c',
  '/dev/net': 'd755',
  '/dev/net/tun': 'c660',
  '/etc': 'd755',
  '/etc/resolv.conf': 'f644',
  '/home': 'd755',
  '/home/me': 'd700:1000:1000',
  '/home/me/src': 'd755:1000:1000',
  '/mnt': 'd755',
  '/opt': 'd755',
  '/opt/a': 'd755',
  '/opt/link': '-> a',
  '/opt/file': 'f644',
  '/proc': 'd555',
  '/root': 'd700',
  '/root/work': 'd755',
  '/run': 'd755',
  '/srv': 'd755',
  '/srv/build': 'd755',
  '/sys': 'd555',
  '/tmp': 'd1777',
  '/tmp/work': 'd700',
  '/var': 'd755',
  '/var/run': '-> /run',
}

function hostOf(tree: Tree, mounts: readonly MountPoint[] = []): Host {
  const entry = (path: Buffer): string | undefined => tree[path.toString('latin1')]
  return {
    lstat(path): FileFacts | undefined {
      const text = entry(path)
      if (text === undefined) return undefined
      const identity = path.toString('latin1')
      if (text.startsWith('->')) return {type: 'symlink', mode: 0o777, uid: 0, gid: 0, identity}
      const [mode = '', uid = '0', gid = '0'] = text.slice(1).split(':')
      const type = TYPES[text[0] as keyof typeof TYPES]
      return {type, mode: Number.parseInt(mode || '0', 8), uid: Number(uid), gid: Number(gid), identity}
    },
    readlink: (path) => Buffer.from(entry(path)?.slice(3) ?? '', 'latin1'),
    list(directory) {
      const prefix = `${directory.toString('latin1')}/`
      const names = Object.keys(tree).filter((path) => path.startsWith(prefix))
      return names
        .map((path) => path.slice(prefix.length))
        .filter((name) => !name.includes('/'))
        .map((name) => Buffer.from(name, 'latin1'))
    },
    mountPoints: () => mounts,
  }
}

interface Overrides extends Partial<Omit<FilesystemOptions, 'binds'>> {
  readonly binds?: readonly string[]
  readonly extra?: Tree
  readonly mounts?: readonly MountPoint[]
}

function plan({binds = [], extra = {}, mounts = [], ...overrides}: Overrides): FilesystemPlan {
  const options: FilesystemOptions = {
    ...DEFAULTS,
    ...overrides,
    binds: binds.map((text) => {
      const [source = '', target = source, mode] = text.split(':')
      return {source: Buffer.from(source), target: Buffer.from(target), readOnly: mode === 'ro', shift: undefined}
    }),
  }
  return planFilesystem(options, hostOf({...BASE, ...extra}, mounts))
}

/** Steps in short, without those that every plan begins and ends with. */
function show(overrides: Overrides): readonly string[] {
  const lines = plan(overrides).steps.map((step) => {
    const flags = Object.entries('flags' in step ? step.flags : {}).filter(([, on]) => on === true)
    const words = [
      step.kind,
      ...('source' in step ? [step.source.toString('latin1')] : []),
      ...('target' in step ? [step.target.toString('latin1')] : []),
      ...('to' in step ? [`-> ${step.to.toString('latin1')}`] : []),
      ...('idmap' in step && step.idmap ? ['idmap'] : []),
      ...('recursive' in step && step.recursive ? ['recursive'] : []),
      ...flags.map(([name]) => name),
    ]
    return words.join(' ')
  })
  const usual = new Set(
    lines.filter((line) =>
      / \/(dev|proc|run\/lock)(\/(null|zero|tty|console|pts|shm|mqueue|ptmx|fd|std\w+))?( |$)/.test(line),
    ),
  )
  return lines.filter(
    (line) => !usual.has(line) && !line.startsWith('directory /run/lock') && !/^tmpfs \/(run|tmp)( |$)/.test(line),
  )
}

const ROOT_STEP = 'root / recursive readOnly nosuid nodev'
const CWD_STEP = 'bind /srv/build /srv/build idmap recursive nodev'

describe('planFilesystem', () => {
  it("shows the host's root read-only and the current directory writable", () => {
    assert.deepEqual(show({}), [ROOT_STEP, CWD_STEP])
  })

  it('hides the /proc of the host under an empty directory before the own one is mounted', () => {
    const steps = plan({}).steps.filter((step) => 'target' in step && step.target.toString() === '/proc')
    assert.deepEqual(
      steps.map((step) => step.kind),
      ['tmpfs', 'proc'],
    )
  })

  it('puts what belongs to the own namespaces behind everything else', () => {
    const kinds = plan({network: 'none'}).steps.map((step) => step.kind)
    assert.deepEqual(kinds.slice(-4), ['proc', 'sysfs', 'devpts', 'mqueue'])
  })

  it('never makes anything in the tree of the host', () => {
    const made = show({
      binds: ['/srv/build:/opt/new/deep', '/opt/file:/mnt/x/y'],
      currentDirectory: Buffer.from('/root/work'),
    })
    const fresh = ['/root', '/opt', '/mnt']
    for (const line of made.filter((text) => /^(directory|file) /.test(text)))
      assert.ok(
        fresh.some((directory) => line.split(' ')[1]?.startsWith(`${directory}/`)),
        line,
      )
  })

  it('replaces an ancestor that the container could not search', () => {
    assert.deepEqual(show({currentDirectory: Buffer.from('/root/work')}), [
      ROOT_STEP,
      'tmpfs /root nosuid nodev',
      'directory /root/work',
      'bind /root/work /root/work idmap recursive nodev',
      'seal /root',
    ])
  })

  it('leaves an ancestor that belongs to the container', () => {
    const extra = {'/home/me': 'd700:100000:100000'}
    assert.deepEqual(show({currentDirectory: Buffer.from('/home/me/src'), extra}), [
      ROOT_STEP,
      'bind /home/me/src /home/me/src idmap recursive nodev',
    ])
  })

  it('makes the path of a current directory below /tmp', () => {
    assert.deepEqual(show({currentDirectory: Buffer.from('/tmp/work')}), [
      ROOT_STEP,
      'directory /tmp/work',
      'bind /tmp/work /tmp/work idmap recursive nodev',
    ])
  })

  it('keeps bytes that are no UTF-8', () => {
    const path = '/srv/\xff\xfe'
    const {steps, workdir} = plan({currentDirectory: Buffer.from(path, 'latin1'), extra: {[path]: 'd755'}})
    const bound = steps.find((step) => step.kind === 'bind' && step.idmap)
    assert.deepEqual(bound?.kind === 'bind' && [bound.source, bound.target], [workdir, workdir])
    assert.deepEqual(workdir, Buffer.from(path, 'latin1'))
  })

  it('rebuilds a directory in which a mount point is missing', () => {
    assert.deepEqual(show({binds: ['/srv/build:/opt/new:ro']}), [
      ROOT_STEP,
      'tmpfs /opt nosuid nodev',
      'directory /opt/a',
      'bind /opt/a /opt/a recursive readOnly nosuid nodev',
      'symlink /opt/link -> a',
      'file /opt/file',
      'bind /opt/file /opt/file recursive readOnly nosuid nodev',
      CWD_STEP,
      'directory /opt/new',
      'bind /srv/build /opt/new idmap recursive readOnly nodev',
      'seal /opt',
    ])
  })

  it('rebuilds before it binds, so that a bind beside the missing one stays', () => {
    const steps = show({binds: ['/home:/opt/a', '/srv/build:/opt/z/y']})
    assert.ok(steps.indexOf('tmpfs /opt nosuid nodev') < steps.indexOf('bind /home /opt/a idmap recursive nodev'))
  })

  it('follows links of the destination as the container would', () => {
    assert.ok(show({binds: ['/srv/build:/opt/link']}).includes('bind /srv/build /opt/a idmap recursive nodev'))
    assert.ok(show({binds: ['/srv/build:/var/run/x']}).includes('bind /srv/build /run/x idmap recursive nodev'))
  })

  it('mounts outer places before inner ones, in whatever order they were given', () => {
    const steps = show({binds: ['/opt/a:/mnt/x/y', '/home:/mnt/x'], tmpfs: [Buffer.from('/mnt/x/y/z')]})
    const order = ['/home /mnt/x ', '/opt/a /mnt/x/y ', 'tmpfs /mnt/x/y/z'].map((text) =>
      steps.findIndex((line) => line.includes(text)),
    )
    assert.deepEqual(
      order,
      order.toSorted((a, b) => a - b),
    )
    assert.equal(order.includes(-1), false)
  })

  it('does not let a read-only container write to the current directory', () => {
    assert.deepEqual(show({readOnly: true})[1], 'bind /srv/build /srv/build idmap recursive readOnly nodev')
  })

  it('lets device nodes be opened only where some may be made', () => {
    assert.equal(show({opensNodes: true})[1], 'bind /srv/build /srv/build idmap recursive')
  })

  it('maps no ids for an ordinary user', () => {
    assert.equal(show({rootless: true})[1], 'bind /srv/build /srv/build recursive nodev')
  })

  it('shows nothing of a hidden directory but what is mounted in it', () => {
    const hide = {hidden: [Buffer.from('/home/me')], extra: {'/home/me': 'd755'}}
    assert.deepEqual(show(hide).slice(1), ['tmpfs /home/me nosuid nodev', CWD_STEP, 'seal /home/me'])
    const steps = show({...hide, currentDirectory: Buffer.from('/home/me/src')})
    assert.deepEqual(steps.slice(1, 3), ['tmpfs /home/me nosuid nodev', 'directory /home/me/src'])
  })

  it('takes mounts below along only where they can be idmapped', () => {
    const mount = (type: string, idmapped = false): MountPoint => {
      return {path: Buffer.from('/srv/build/m'), type, idmapped, device: '8:1'}
    }
    assert.equal(show({mounts: [mount('xfs')]})[1], CWD_STEP)
    const alone = 'bind /srv/build /srv/build idmap nodev'
    assert.equal(show({mounts: [mount('proc')]})[1], alone)
    assert.equal(show({mounts: [mount('ext4', true)]})[1], alone)
    assert.equal(show({mounts: [{...mount('proc'), path: Buffer.from('/srv/builds')}]})[1], CWD_STEP)
  })

  it('shows what may be mounted, unless it is to be seen anyway', () => {
    const extra = {'/dev/vdb': 'b', '/srv/build/i.img': 'f644'}
    const shown = ['/dev/vdb', '/srv/build/i.img', '/home'].map((path) => Buffer.from(path))
    assert.deepEqual(show({shown, extra}).slice(1), [
      'bind /home /home idmap recursive nodev',
      CWD_STEP,
      'file /dev/vdb',
      'bind /dev/vdb /dev/vdb nosuid noexec',
    ])
  })

  const wrong: readonly (readonly [string, Overrides, RegExp])[] = [
    ['a source that is not there', {binds: ['/nothing:/mnt']}, /cannot bind \/nothing: there is nothing of that name/],
    ['a new entry of the root', {binds: ['/opt:/new']}, /cannot mount below \/: the mount point is missing/],
    ['the root itself', {binds: ['/opt:/']}, /cannot use --bind with \//],
    ['a file over a directory', {binds: ['/opt/file:/mnt']}, /cannot mount at \/mnt: it is a directory/],
    ['a directory over a file', {binds: ['/mnt:/opt/file']}, /cannot mount at \/opt\/file: it is no directory/],
    ['two mounts at one place', {binds: ['/opt:/mnt', '/home:/mnt']}, /cannot mount at \/mnt twice/],
    [
      'a device that is none',
      {devices: [{path: Buffer.from('/opt/file'), mode: undefined, owner: undefined}]},
      /--device \/opt\/file: it is no device node/,
    ],
    ['links in a circle', {binds: ['/opt:/a/x'], extra: {'/a': '-> b', '/b': '-> a'}}, /too many levels/],
    ['a root that is a file', {rootfs: Buffer.from('/opt/file')}, /--rootfs \/opt\/file: it is not a directory/],
  ]
  for (const [what, overrides, message] of wrong)
    it(`refuses ${what}`, () => {
      assert.throws(
        () => plan(overrides),
        (error) => error instanceof UsageError && message.test(error.message),
      )
    })
})

describe('planFilesystem, with a root of its own', () => {
  const rootfs = Buffer.from('/srv/build')

  it('makes missing mount points in it, as that root', () => {
    assert.deepEqual(
      show({rootfs}),
      [
        'root /srv/build idmap recursive nodev',
        'directory /sys',
        'bind /sys /sys recursive readOnly nosuid nodev noexec',
        'directory /run',
        'directory /tmp',
        'file /etc/resolv.conf',
        'bind /etc/resolv.conf /etc/resolv.conf readOnly nosuid nodev noexec',
      ].toSpliced(5, 0, 'directory /etc'),
    )
  })

  it('starts in it and does not show the current directory', () => {
    assert.equal(plan({rootfs}).workdir.toString(), '/')
  })

  it('follows no link of it out of it', () => {
    const extra = {
      '/srv/build/sys': '-> ../../../root',
      '/srv/build/etc': 'd755',
      '/srv/build/etc/resolv.conf': '-> /../../etc/shadow',
    }
    const steps = show({rootfs, extra})
    assert.ok(steps.includes('bind /sys /root recursive readOnly nosuid nodev noexec'))
    assert.ok(steps.includes('bind /etc/resolv.conf /etc/shadow readOnly nosuid nodev noexec'))
  })

  it('seals a read-only one after its mount points are made, and gives it a /tmp', () => {
    const {steps} = plan({rootfs, readOnly: true})
    const seal = steps.findIndex((step) => step.kind === 'seal')
    assert.ok(seal > steps.findLastIndex((step) => step.kind === 'file' || step.kind === 'directory'))
    assert.ok(steps.some((step) => step.kind === 'tmpfs' && step.target.toString() === '/tmp'))
  })
})

describe('name resolution', () => {
  const resolved = {
    '/etc/resolv.conf': '-> ../run/systemd/resolve/stub-resolv.conf',
    '/run/systemd': 'd755',
    '/run/systemd/resolve': 'd755',
    '/run/systemd/resolve/stub-resolv.conf': 'f644',
  }
  const stub = '/run/systemd/resolve/stub-resolv.conf'
  const shown = ['directory /run/systemd/resolve', `file ${stub}`, `bind ${stub} ${stub} readOnly nosuid nodev noexec`]

  it('finds the file that a link into /run leads to', () => {
    assert.deepEqual(show({extra: resolved}).slice(-3), shown)
  })

  it('has the file in a root of its own, where a dangling link leads', () => {
    const extra = {...resolved, '/srv/build/etc': 'd755', '/srv/build/etc/resolv.conf': `-> ${stub}`}
    assert.deepEqual(show({rootfs: Buffer.from('/srv/build'), extra}).slice(-3), shown)
  })

  it('does without a file where the host has none', () => {
    const {'/etc/resolv.conf': _, ...rest} = BASE
    assert.deepEqual(
      planFilesystem(DEFAULTS, hostOf(rest)).steps.filter((step) => JSON.stringify(step).includes('resolv')),
      [],
    )
  })
})

describe('lxcfs', () => {
  it('has its files shown over the own /proc', () => {
    const {steps} = plan({extra: {'/var/lib/lxcfs/proc/meminfo': 'f444', '/var/lib/lxcfs/proc/other': 'f444'}})
    const [bind, ...others] = steps.filter((step) => 'source' in step && step.source.includes('lxcfs'))
    assert.equal(others.length, 0)
    assert.equal(bind?.kind === 'bind' && bind.inside, true)
    assert.ok(steps.findIndex((step) => step === bind) > steps.findIndex(({kind}) => kind === 'proc'))
  })
})

describe('PWD', () => {
  it('stays as it is where it leads to the same directory in the container', () => {
    const extra = {'/link': '-> srv', '/root/link': '-> /srv'}
    const made = plan({extra})
    assert.equal(made.pwd(Buffer.from('/link/build')).toString(), '/link/build')
    assert.equal(made.pwd(Buffer.from('/srv')).toString(), '/srv/build')
    assert.equal(made.pwd(Buffer.from('.')).toString(), '/srv/build')
    assert.equal(made.pwd(undefined).toString(), '/srv/build')
  })
})
