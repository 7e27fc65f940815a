// Which strategy of each family would serve here, for the policy as given: tried where it can be.

import {closeSync, constants, existsSync, openSync, readFileSync} from 'node:fs'
import {userInfo} from 'node:os'

import {withCauses} from '../causes.js'
import {deviceProgram} from '../container/cgroup/device-rule.js'
import {AS_ROOT, withoutRoot} from '../container/unsupported.js'
import {hasModule} from '../container/kernel-modules.js'
import {unifiedMountPoint} from '../container/cgroup/tree.js'
import {loadDeviceProgram} from '../ffi/bpf.js'
import {fsetxattr} from '../ffi/libc.js'
import {SystemError} from '../ffi/errors.js'
import {FAMILIES} from '../intercept/families/index.js'
import type {ModulePolicy} from '../intercept/families/modules/policy.js'
import type {MountPolicy} from '../intercept/families/mount/policy.js'
import type {Policy} from '../intercept/policy.js'
import type {AnyFamily} from '../intercept/family.js'
import type {FamilyFinding} from './finding.js'
import {canOpen, checkFileSystems, checkFuse, isProgram} from './machine.js'
import type {Trial} from './trial.js'

export interface Circumstances {
  readonly policy: Policy
  readonly rootless: boolean
  readonly trial: Trial
}

type Served = Pick<FamilyFinding, 'advice' | 'state' | 'strategy' | 'text'>

const judges: Readonly<Record<string, (circumstances: Circumstances) => Served>> = {
  mknod: nodes,
  setxattr: attributes,
  mount: mounts,
  bpf: programs,
  sched: priorities,
  sysinfo: () => serves('cgroup'),
  handler: () => serves(strategyOf('handler')),
  modules,
}

/** In the order of their names. A family that was asked for and is `missing` makes the whole check fail. */
export function checkFamilies(circumstances: Circumstances): readonly FamilyFinding[] {
  return FAMILIES.flatMap((family) => {
    const judge = judges[family.name]
    if (judge === undefined) return []
    const served = circumstances.trial.started ? judge(circumstances) : cannot('no container can be made')
    return {
      name: family.name,
      flag: family.flag,
      asked: family.select(circumstances.policy) !== undefined,
      ...served,
      text: summaryOf(family, served),
    }
  })
}

/** What the family itself says of the strategy; our words where it is about what is missing. */
function summaryOf({strategies}: AnyFamily, {strategy, text}: Served): string {
  const own = strategies.find(({name}) => name === strategy)?.summary
  return [own, text === '' ? undefined : text].filter((part) => part !== undefined).join('; ')
}

function nodes({trial}: Circumstances): Served {
  if (trial.strategy === undefined) return cannot(`a node could not be made: ${trial.failure}`, ...trial.hints)
  return {
    strategy: trial.strategy,
    state: trial.strategy === 'record' ? 'limited' : 'good',
    text: trial.strategy === 'record' ? 'it can not be opened' : '',
    advice: [],
  }
}

/** On a file without a name in the current directory, so that nothing is left. */
function attributes({rootless}: Circumstances): Served {
  const name = rootless ? 'user.interceptor.check' : 'trusted.overlay.check'
  let fd: number
  try {
    // O_TMPFILE of open(2), which Node has no name for.
    fd = openSync('.', constants.O_DIRECTORY | 0o20_000_000 | constants.O_WRONLY, 0o600)
  } catch {
    return {
      strategy: rootless ? 'user' : 'trusted',
      state: 'limited',
      text: 'not tried out in this directory',
      advice: [],
    }
  }
  try {
    fsetxattr(fd, name, Buffer.from('y'), 1, 0)
    return serves(rootless ? 'user' : 'trusted')
  } catch (error) {
    if (!(error instanceof SystemError)) throw error
    return cannot(
      `the file system of this directory takes no ${name.split('.')[0] ?? ''}.* attributes: ${error.message}`,
      'work on ext4, xfs, btrfs or a tmpfs of Linux 6.6',
    )
  } finally {
    closeSync(fd)
  }
}

function mounts({policy, rootless}: Circumstances): Served {
  const mount = policy['mount'] as MountPolicy | undefined
  const {allowed = [], fuse = {}, sources = []} = mount ?? {}
  const failure = [checkFuse(fuse), ...checkFileSystems(allowed)].find(({state}) => state === 'missing')
  if (failure !== undefined) return cannot(failure.text, ...failure.advice)
  if (rootless) {
    const [denied] = withoutRoot({...(mount && {mount})})
    if (denied !== undefined) return cannot(denied.text, ...denied.advice)
  }
  if (Object.keys(fuse).length > 0 && allowed.length === 0) return serves('fuse', 'by programs in the container')
  if (rootless)
    return {
      strategy: undefined,
      state: 'limited',
      text: 'what --mount-fuse names, and what the kernel allows by itself',
      advice: [],
    }
  if (sources.length > 0 && !canOpen('/dev/loop-control'))
    return cannot("/dev/loop-control can't be opened", 'an administrator can run: modprobe loop')
  return serves('kernel')
}

function programs({rootless}: Circumstances): Served {
  if (rootless) return cannot('only root of the host can load device programs', AS_ROOT)
  if (unifiedMountPoint() === undefined)
    return cannot('no cgroup hierarchy of version 2 is mounted', 'mount -t cgroup2 none /sys/fs/cgroup/unified')
  try {
    closeSync(loadDeviceProgram(deviceProgram([]), 'check'))
  } catch (error) {
    return cannot(`no device program can be loaded: ${withCauses(error)}`, 'use a kernel with CONFIG_CGROUP_BPF')
  }
  return serves(strategyOf('bpf'))
}

function priorities({rootless}: Circumstances): Served {
  if (!rootless) return serves(strategyOf('sched'))
  const limit = Number(/^Max realtime priority\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1] ?? 0)
  if (limit > 0) return serves(strategyOf('sched'), `up to the limit of this user, ${limit}`)
  const {username} = userInfo()
  return cannot(
    'this user may have no real-time priority (RLIMIT_RTPRIO is 0)',
    `an administrator can run: echo '${username} - rtprio 50' >> /etc/security/limits.conf`,
  )
}

function modules({policy, rootless}: Circumstances): Served {
  if (rootless) return cannot('only root of the host can load modules', AS_ROOT)
  if (!existsSync('/proc/sys/kernel/modules_disabled')) return cannot('this kernel is built without modules')
  if (readFileSync('/proc/sys/kernel/modules_disabled', 'latin1').trim() === '1')
    return cannot('loading modules is switched off until the next start (kernel.modules_disabled)')
  if (!isProgram('modprobe')) return cannot('modprobe is not installed', 'apt-get install kmod')
  const absent = ((policy['modules'] as ModulePolicy | undefined)?.names ?? []).filter(
    (name) => !isLoaded(name) && !hasModule(name),
  )
  if (absent.length > 0) return cannot(`the host has no module ${absent.join(', ')} for this kernel`)
  return serves(strategyOf('modules'))
}

function isLoaded(name: string): boolean {
  try {
    const text = readFileSync('/proc/modules', 'latin1')
    return text.split('\n').some((line) => line.split(' ')[0] === name.replaceAll('-', '_'))
  } catch {
    return false
  }
}

function strategyOf(family: AnyFamily['name']): string | undefined {
  return FAMILIES.find(({name}) => name === family)?.strategies[0]?.name
}

function serves(strategy: string | undefined, text = ''): Served {
  return {strategy, state: 'good', text, advice: []}
}

function cannot(text: string, ...advice: readonly string[]): Served {
  return {strategy: undefined, state: 'missing', text, advice}
}
