import assert from 'node:assert/strict'

import type {CgroupOptions} from '../../../../src/container/cgroup/index.js'
import {planCgroup} from '../../../../src/container/cgroup/index.js'
import {describeCgroup} from '../../../../src/container/cgroup/of.js'
import type {CgroupPlan} from '../../../../src/container/cgroup/plan.js'
import type {CgroupHost} from '../../../../src/container/cgroup/tree.js'
import {findHierarchies} from '../../../../src/container/cgroup/tree.js'
import {fixture, recordedHost} from '../../../helpers/cgroup-host.js'

const SLICE = '/user.slice/user-1000.slice'
const MANAGER = `${SLICE}/user@1000.service`
const SCOPE = `${MANAGER}/app.slice/run-r5b1.scope`
const TERMINAL = `${MANAGER}/app.slice/app-org.gnome.Terminal.slice`

function plan(host: CgroupHost, options: Partial<CgroupOptions>): CgroupPlan {
  const found = planCgroup({name: 'c1', rootless: false, ...options}, findHierarchies(host), host)
  const text = JSON.stringify(found).replaceAll(`${host.root}/sys/fs/cgroup`, '')
  return JSON.parse(text) as CgroupPlan
}

const settings = ({writes}: CgroupPlan) => writes.map(({file, value}) => `${file} ${value}`)

describe('planCgroup in a unified hierarchy', () => {
  it('makes a child of the own cgroup when nothing is limited', () => {
    const {directories, deviceProgram, writes, evacuation, description} = plan(
      recordedHost('cgroup-v2/systemd', 1300),
      {},
    )
    const own = `${SLICE}/session-2.scope/interceptor-c1.1300-3000`
    assert.deepEqual(directories, [own])
    assert.equal(deviceProgram, own)
    assert.deepEqual(writes, [])
    assert.equal(evacuation, undefined)
    assert.deepEqual(description, {
      version: 2,
      unified: {top: '', own},
      memory: {top: '', own: `${SLICE}/session-2.scope`},
    })
  })

  it('makes a cgroup beside that of a login session, and enables nothing that is enabled', () => {
    const limited = plan(recordedHost('cgroup-v2/systemd', 1300), {memoryBytes: 268435456, pids: 64, cpus: 1.5})
    const own = `${SLICE}/interceptor-c1.1300-3000`
    assert.deepEqual(limited.directories, [own])
    assert.deepEqual(settings(limited), [
      `${own}/memory.max 268435456`,
      `${own}/memory.swap.max 0`,
      `${own}/pids.max 64`,
      `${own}/cpu.max 150000 100000`,
    ])
    assert.deepEqual(limited.description, {
      version: 2,
      ...Object.fromEntries(['unified', 'memory', 'pids', 'cpu'].map((name) => [name, {top: '', own}])),
    })
  })

  it('empties the own cgroup into a child when all that is in it is ours', () => {
    const limited = plan(recordedHost('cgroup-v2/systemd', 702), {memoryBytes: 268435456})
    const service = '/system.slice/ci-runner.service'
    assert.deepEqual(limited.evacuation, {
      from: service,
      to: `${service}/interceptor-supervisor.702-6010`,
      controllers: ['memory'],
    })
    assert.deepEqual(limited.directories, [`${service}/interceptor-c1.702-6010`])
  })

  it('asks for no more than the own cgroup has', () => {
    const limited = plan(recordedHost('cgroup-v2/systemd', 702), {memoryBytes: 4294967296, pids: 1000, cpus: 8})
    const own = '/system.slice/ci-runner.service/interceptor-c1.702-6010'
    assert.deepEqual(settings(limited), [
      `${own}/memory.max 2147483648`,
      `${own}/memory.swap.max 0`,
      `${own}/pids.max 500`,
      `${own}/cpu.max 150000 100000`,
    ])
  })

  it('uses the delegated scope of a user', () => {
    const host = recordedHost('cgroup-v2/systemd', 1400, [MANAGER])
    const limited = plan(host, {memoryBytes: 268435456, rootless: true})
    assert.deepEqual(limited.evacuation, {
      from: SCOPE,
      to: `${SCOPE}/interceptor-supervisor.1400-4000`,
      controllers: ['memory'],
    })
    assert.deepEqual(limited.directories, [`${SCOPE}/interceptor-c1.1400-4000`])
    assert.equal(limited.deviceProgram, undefined)
  })

  it('makes a cgroup beside one with processes of others in the delegated subtree', () => {
    const limited = plan(recordedHost('cgroup-v2/systemd', 1599, [MANAGER]), {pids: 10, rootless: true})
    assert.deepEqual(limited.directories, [`${TERMINAL}/interceptor-c1.1599-5000`])
    assert.equal(limited.evacuation, undefined)
  })

  it('makes what it can without a limit for an ordinary user', () => {
    const {directories, optionalDirectories} = plan(recordedHost('cgroup-v2/systemd', 1300, [MANAGER]), {
      rootless: true,
    })
    assert.deepEqual(directories, [])
    assert.deepEqual(optionalDirectories, [`${SLICE}/session-2.scope/interceptor-c1.1300-3000`])
  })

  it('refuses limits to an ordinary user whose session is not delegated, and says how to get them', () => {
    const host = recordedHost('cgroup-v2/systemd', 1300, [MANAGER])
    const directory = `${fixture('cgroup-v2/systemd')}/sys/fs/cgroup${SLICE}`
    assert.throws(() => plan(host, {memoryBytes: 268435456, rootless: true}), {
      name: 'UnavailableError',
      message: `cannot limit the container: neither ${directory}/session-2.scope nor ${directory} can be written`,
      hints: [
        'Start it in a cgroup of its own: systemd-run --user --scope -p Delegate=yes interceptor run ...',
        'If there is no user manager, have root run: loginctl enable-linger USER',
        'If a controller is missing, have root add Delegate=cpu memory pids to user@.service',
        'Leave out --memory',
      ],
    })
  })

  it('refuses a limit whose controller is not given', () => {
    assert.throws(() => plan(recordedHost('cgroup-v2/systemd', 1400, [MANAGER]), {cpus: 1, rootless: true}), {
      name: 'UnavailableError',
      message: /^cannot limit the container: .*run-r5b1.scope is not given the cpu controller$/,
    })
  })

  it('refuses limits in a namespace root with processes of others, but not the device rule', () => {
    const host = recordedHost('cgroup-v2/docker', 20)
    assert.throws(() => plan(host, {memoryBytes: 268435456}), {
      name: 'UnavailableError',
      message: /other processes are in .*\/sys\/fs\/cgroup, .* nothing above it is visible$/,
    })
    assert.equal(plan(host, {}).deviceProgram, '/interceptor-c1.20-8200')
  })
})

describe('planCgroup on a host with both versions', () => {
  const host = recordedHost('cgroup-v1/hybrid', 800)
  const session = '/user.slice/user-0.slice/session-1.scope/interceptor-c1.800-3000'

  it('denies all devices before it allows some', () => {
    const {writes, deviceProgram} = plan(host, {devices: [{type: 'b', major: 7, minor: '*', access: 'rw'}]})
    const devices = '/devices/user.slice/interceptor-c1.800-3000'
    assert.deepEqual(settings({writes} as CgroupPlan), [
      `${devices}/devices.deny a`,
      ...['c 1:3', 'c 1:5', 'c 1:7', 'c 1:8', 'c 1:9', 'c 5:0', 'c 5:2', 'c 136:*', 'b 7:*'].map(
        (device) => `${devices}/devices.allow ${device} rw`,
      ),
    ])
    assert.equal(deviceProgram, undefined)
  })

  it('joins the cpu controller only for a limit of processors', () => {
    const usual = plan(host, {})
    assert.deepEqual(usual.directories, [
      '/devices/user.slice/interceptor-c1.800-3000',
      `/memory${session}`,
      `/pids${session}`,
    ])
    assert.deepEqual(usual.optionalDirectories, [`/unified${session}`])
    const limited = plan(host, {cpus: 0.5, realtime: true})
    const cpu = '/cpu,cpuacct/user.slice/interceptor-c1.800-3000'
    assert.ok(limited.directories.includes(cpu))
    assert.equal(limited.realtime, cpu)
    assert.ok(settings(limited).includes(`${cpu}/cpu.cfs_quota_us 50000`))
  })

  it('limits memory, and memory with swap, to the same', () => {
    const limited = settings(plan(host, {memoryBytes: 268435456, pids: 7, rootless: true}))
    assert.deepEqual(limited, [
      `/memory${session}/memory.use_hierarchy 1`,
      `/memory${session}/memory.limit_in_bytes 268435456`,
      `/memory${session}/memory.memsw.limit_in_bytes 268435456`,
      `/pids${session}/pids.max 7`,
    ])
  })

  it('describes the cgroups of the version that has the memory controller', () => {
    assert.deepEqual(plan(host, {}).description, {
      version: 1,
      memory: {top: '/memory', own: `/memory${session}`},
      pids: {top: '/pids', own: `/pids${session}`},
      unified: {top: '/unified', own: `/unified${session}`},
    })
  })
})

describe('planCgroup without any hierarchy', () => {
  const host = recordedHost('cgroup-v2/systemd', 1300)
  const nothing = {v1: new Map(), unified: undefined}

  it('stops the launch of a privileged container', () => {
    assert.throws(() => planCgroup({name: 'c1', rootless: false}, nothing, host), {
      name: 'LaunchError',
      message: 'cannot restrict the devices of the container: no cgroup hierarchy that can is mounted',
    })
  })

  it('stops the launch of a container with limits', () => {
    assert.throws(() => planCgroup({name: 'c1', rootless: true, pids: 5}, nothing, host), {name: 'UnavailableError'})
  })

  it('needs nothing for one without', () => {
    const {directories, description} = planCgroup({name: 'c1', rootless: true}, nothing, host)
    assert.deepEqual([directories, description], [[], {version: 2}])
  })
})

describe('describeCgroup', () => {
  it('names the directories that a process is in, and of memory the nearest that counts it', () => {
    const host = recordedHost('cgroup-v2/systemd', 1300)
    const top = `${host.root}/sys/fs/cgroup`
    const service = {top, own: `${top}/system.slice/ci-runner.service`}
    assert.deepEqual(describeCgroup(702, host), {
      version: 2,
      unified: service,
      memory: service,
      pids: service,
      cpu: service,
    })
    const scope = {top, own: `${top}${SCOPE}`}
    assert.deepEqual(describeCgroup(1400, host), {version: 2, unified: scope, memory: scope, pids: scope})
  })
})
