// The words for what interceptor-init reports as a stage, a step and errno. STAGES is in step with enum stage there.

import {LaunchError} from '../../errors.js'
import {errnoText} from '../../ffi/errors.js'
import {escapeBytes} from '../../intercept/caller/escape.js'
import {ERRNO, errnoName} from '../../kernel/errno.js'
import type {FilesystemStep, LaunchPlan} from '../plan.js'
import {outerContainerHints} from '../userns/entry-advice.js'
import {hostRestrictions} from '../userns/host-restrictions.js'
import type {HostRestrictions} from '../userns/host-restrictions.js'

export const STAGES = [
  'plan',
  'mount-namespace',
  'clone',
  'mapped',
  'source',
  'flags',
  'idmap',
  'target',
  'attach',
  'file-system',
  'create',
  'identity',
  'namespaces',
  'pivot',
  'hostname',
  'loopback',
  'deny-filter',
  'command',
  'credentials',
  'workdir',
  'notify-filter',
  'supervision',
  'join',
] as const

export type Stage = (typeof STAGES)[number]

interface Wording {
  readonly what: string
  readonly cause?: string
  readonly hints?: readonly string[]
}

/** `read` looks at what is around us; only where something was not permitted. */
export function launchFailure(
  stageNumber: number,
  stepIndex: number,
  errno: number,
  plan: LaunchPlan,
  read: () => HostRestrictions = hostRestrictions,
): LaunchError {
  const stage = STAGES[stageNumber] ?? 'supervision'
  const {what, cause = errnoText(errno), hints = []} = wording(stage, plan.filesystem[stepIndex], errno, plan)
  const isRefused = errno === ERRNO.EPERM || errno === ERRNO.EACCES || errno === ERRNO.ENOSYS
  const outer =
    isRefused && OUTER_STAGES.has(stage)
      ? outerContainerHints(read(), {isCallRefused: !isProc(plan, stepIndex, stage)})
      : []
  return new LaunchError(`cannot ${what}: ${cause} (${errnoName(errno)})`, {hints: outer.length > 0 ? outer : hints})
}

/** What an outer container's filter, security module or masks keep a container in it from. */
const OUTER_STAGES: ReadonlySet<Stage> = new Set<Stage>([
  'mount-namespace',
  'clone',
  'source',
  'flags',
  'attach',
  'file-system',
  'namespaces',
  'pivot',
  'hostname',
  'deny-filter',
  'notify-filter',
])

/** A new /proc is refused by mount_too_revealing() in fs/namespace.c, and by no filter: the calls before it worked. */
function isProc(plan: LaunchPlan, stepIndex: number, stage: Stage): boolean {
  return stage === 'file-system' && plan.filesystem[stepIndex]?.kind === 'proc'
}

function wording(stage: Stage, step: FilesystemStep | undefined, errno: number, plan: LaunchPlan): Wording {
  switch (stage) {
    case 'plan':
      return {what: 'read the launch plan', hints: ['Build the native helper again: it is of another version']}
    case 'mount-namespace':
      if (errno === ERRNO.ENOSPC)
        return {
          what: 'make a mount namespace',
          cause: 'the limit of namespaces is reached',
          hints: ['Raise the sysctl user.max_mnt_namespaces'],
        }
      return {what: 'make a mount namespace', hints: ['Run as root, or without root where user namespaces are allowed']}
    case 'clone':
      return cloneWording(errno)
    case 'mapped':
      return {what: "open the container's user namespace"}
    case 'source':
      return {what: `open ${sourceOf(step)}`}
    case 'flags':
      return {what: `set the mount flags of ${sourceOf(step)}`}
    case 'idmap':
      return idmapWording(step, errno)
    case 'target':
      return {what: `find ${targetOf(step)} in the container`}
    case 'attach':
      return {what: `mount ${sourceOf(step)} on ${targetOf(step)}`}
    case 'file-system':
      return fileSystemWording(step, errno)
    case 'create':
      return {what: `make ${targetOf(step)} in the container`, hints: createHints(errno)}
    case 'identity':
      return {what: "become the container's root"}
    case 'namespaces':
      return namespaceWording(errno)
    case 'pivot':
      return {what: "enter the container's root directory"}
    case 'hostname':
      return {what: `set the host name ${plan.hostname}`}
    case 'loopback':
      return {what: 'set up the loopback interface'}
    case 'deny-filter':
    case 'notify-filter':
      return filterWording(errno)
    case 'command':
      return {what: 'start a process for the command'}
    case 'credentials':
      return {
        what: `become user ${plan.uid}:${plan.gid}`,
        hints: errno === ERRNO.EINVAL ? ['Choose ids that the id map covers'] : [],
      }
    case 'workdir':
      return {
        what: `change to the directory ${show(plan.workdir)}`,
        hints: ['Choose a directory that exists in the container with --workdir'],
      }
    case 'supervision':
      return {what: 'supervise the container'}
    case 'join':
      return {what: `enter the namespaces of ${plan.name}`, hints: errno === ERRNO.ESRCH ? ['It has ended'] : []}
    default:
      return stage satisfies never
  }
}

function cloneWording(errno: number): Wording {
  const what = 'make a user namespace'
  if (errno === ERRNO.ENOSPC)
    return {what, cause: 'the limit of namespaces is reached', hints: ['Raise the sysctl user.max_user_namespaces']}
  if (errno === ERRNO.EUSERS) return {what, cause: 'user namespaces are nested too deeply'}
  if (errno === ERRNO.EPERM || errno === ERRNO.EACCES)
    return {
      what,
      hints: [
        'Allow user namespaces: sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0',
        'Inside another container: allow clone3 with CLONE_NEWUSER in its seccomp profile',
      ],
    }
  if (errno === ERRNO.ENOSYS) return {what, hints: ['Use a kernel with clone3(2): Linux 5.3 or later']}
  return {what}
}

function namespaceWording(errno: number): Wording {
  const what = 'make the mount, ipc and cgroup namespaces'
  if (errno !== ERRNO.ENOSPC) return {what}
  return {
    what,
    cause: 'the limit of namespaces is reached',
    hints: ['Raise the sysctls user.max_mnt_namespaces, user.max_ipc_namespaces and user.max_cgroup_namespaces'],
  }
}

function idmapWording(step: FilesystemStep | undefined, errno: number): Wording {
  const what = `map the ids of ${sourceOf(step)}`
  if (errno !== ERRNO.EINVAL && errno !== ERRNO.EOPNOTSUPP && errno !== ERRNO.EPERM) return {what}
  return {
    what,
    cause: 'its file system, or one mounted below it, does not support id-mapped mounts',
    hints: ['Use a directory on ext4, xfs, btrfs or tmpfs', 'Run without root: files then keep the mapped ids'],
  }
}

function fileSystemWording(step: FilesystemStep | undefined, errno: number): Wording {
  const what = `mount ${step?.kind ?? 'a file system'} on ${targetOf(step)}`
  if (errno !== ERRNO.EPERM) return {what}
  if (step?.kind === 'proc')
    return {
      what,
      hints: ['Unmask /proc of the outer container (docker run --security-opt systempaths=unconfined)'],
    }
  if (step?.kind === 'sysfs') return {what, hints: ["Use the host's /sys: only --network none gives one of its own"]}
  return {what}
}

function createHints(errno: number): readonly string[] {
  if (errno === ERRNO.EROFS) return ['Choose a place below a writable directory of the container']
  if (errno === ERRNO.EACCES || errno === ERRNO.EPERM || errno === ERRNO.EOVERFLOW)
    return ["Make it beforehand, or let the container's root own the directory above it"]
  return []
}

function filterWording(errno: number): Wording {
  const what = 'install the filter'
  if (errno === ERRNO.EBUSY)
    return {
      what,
      cause: 'another seccomp listener is already there',
      hints: [
        'Start interceptor outside the container or supervisor that intercepts its system calls: a process has one',
      ],
    }
  if (errno === ERRNO.EINVAL || errno === ERRNO.ENOSYS)
    return {what, cause: 'the kernel has no seccomp user notification', hints: ['Use Linux 5.9 or later']}
  if (errno === ERRNO.ENOMEM) return {what, cause: 'too many filters are installed already'}
  return {what}
}

function sourceOf(step: FilesystemStep | undefined): string {
  if (step === undefined) return 'a file system'
  return 'source' in step ? show(step.source) : targetOf(step)
}

function targetOf(step: FilesystemStep | undefined): string {
  if (step === undefined) return 'a place'
  return 'target' in step ? show(step.target) : '/'
}

/** Escaped: control characters could draw on the terminal. */
function show(path: Buffer): string {
  return escapeBytes(path)
}
