// Compares policies: whether one allows more than another. Pure.

import type {FamilyName, MountPolicy, Policy} from './policy.js'

type Compare = (asked: Policy, given: Policy) => readonly string[]

const families: Readonly<Required<Record<FamilyName, Compare>>> = {
  mknod: compare(
    'mknod',
    ({mknod}) => mknod?.devices.map(({type, major, minor}) => `${type}:${major}:${minor}`),
    (asked, given) => missing(asked, given).map((device) => `mknod of ${device}`),
  ),
  setxattr: compare(
    'setxattr',
    ({setxattr}) => setxattr?.names,
    (asked, given) => missing(asked, given).map((name) => `the attribute ${name}`),
  ),
  mount: compare('mount', ({mount}) => mount, mountExcess),
  bpf: compare(
    'bpf',
    ({bpf}) => bpf,
    (asked, given) => (asked.devices && !given.devices ? ['device programs'] : []),
  ),
  sched: compare(
    'sched',
    ({sched}) => sched,
    (asked, given) => [
      ...(asked.maxPriority > given.maxPriority
        ? [`priorities above ${given.maxPriority} (--sched-max-priority)`]
        : []),
      ...(asked.deadline === true && given.deadline !== true ? ['SCHED_DEADLINE'] : []),
    ],
  ),
  sysinfo: compare(
    'sysinfo',
    ({sysinfo}) => sysinfo,
    () => [],
  ),
  handler: compare(
    'handler',
    ({handler}) => handler?.calls.map(({file, name}) => `${name} of ${file}`),
    (asked, given) => missing(asked, given).map((call) => `the handler ${call}`),
  ),
  modules: compare(
    'modules',
    ({modules}) => modules?.names,
    (asked, given) => missing(asked, given).map((name) => `the module ${name}`),
  ),
}

/** What `asked` allows and `given` does not, each as words for a person; empty where there is nothing. */
export function beyond(asked: Policy, given: Policy): readonly string[] {
  return Object.values(families).flatMap((each) => each(asked, given))
}

function compare<T>(
  family: FamilyName,
  select: (policy: Policy) => T | undefined,
  excess: (asked: T, given: T) => readonly string[],
): Compare {
  return (asked, given) => {
    const [mine, theirs] = [select(asked), select(given)]
    if (mine === undefined) return []
    return theirs === undefined ? [`${family}, which is off in it`] : excess(mine, theirs)
  }
}

function mountExcess(asked: MountPolicy, given: MountPolicy): readonly string[] {
  const types = missing(asked.allowed, given.allowed).map((type) => `mounts of ${type}`)
  const helpers = Object.entries(asked.fuse)
    .filter(([type, helper]) => given.fuse[type] !== helper)
    .map(([type, helper]) => `mounts of ${type} by ${helper}`)
  const sources = missing(asked.sources, given.sources).map((source) => `mounts of ${source}`)
  return [...types, ...helpers, ...sources, ...(asked.shift && !given.shift ? ['id-mapped mounts'] : [])]
}

function missing(asked: readonly string[], given: readonly string[]): readonly string[] {
  return asked.filter((each) => !given.includes(each))
}
