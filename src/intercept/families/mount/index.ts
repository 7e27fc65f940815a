// mount: file systems that the policy names, made by the host's kernel or by a FUSE program for the container.

import {AT_FDCWD} from '../../../kernel/constants.js'
import {BLKGETSIZE64, LOOP_SET_FD} from '../../../kernel/names/loop.js'
import {MOUNT_FLAGS, MS_REMOUNT} from '../../../kernel/names/mount.js'
import {flags, int32, path, pointer} from '../../caller/argument-kinds.js'
import {OwnCapabilities} from '../../caller/own-capabilities.js'
import {defineFamily, defineSyscall} from '../../family.js'
import type {Caller, CallerFacts, FamilyOptions, Performed} from '../../family.js'
import {asStrategy} from '../../strategy.js'
import {FsContexts, fsContextsMemory} from './api/contexts.js'
import {newMountCalls} from './api/index.js'
import {checkMounts, unsupportedMounts} from './check.js'
import {decideLoop, decideMount, fuseHelper} from './decide.js'
import type {MountValues} from './decide.js'
import {EmulatedMounts, emulatedMountsMemory} from './emulated.js'
import {MOUNT_CONDITION, plainFlags} from './flags.js'
import {performFuseMount} from './fuse/fuse-mount.js'
import {performNewMount, performRemount} from './kernel-mount.js'
import type {MountState} from './state.js'
import {StandIns} from './loop/stand-in.js'
import type {LoopStandIns} from './loop/stand-in.js'
import {mountPolicy} from './policy.js'
import type {MountPolicy} from './policy.js'
import {adoptMount, prepareMount} from './prepare.js'
import type {MountKept} from './prepare.js'
import {PrivateMountNamespace} from './private-mount-namespace.js'
import {closeSources, openSources} from './sources/opened.js'
import type {OpenedSource} from './sources/opened.js'
import {MountSources} from './sources/sources.js'
import {loopRequest, mountData, mountString} from './string-arguments.js'

/** What workers share: each of them may go on with what another one began. */
interface MountMemory {
  readonly emulated: SharedArrayBuffer
  readonly contexts: SharedArrayBuffer
  /** Undefined where no image may be mounted. */
  readonly loops: LoopStandIns | undefined
  readonly sources: readonly OpenedSource[]
}

function newMemory({loops, sources}: MountKept): MountMemory {
  return {emulated: emulatedMountsMemory(), contexts: fsContextsMemory(), loops, sources}
}

export const mountFamily = defineFamily<MountPolicy, MountState, MountMemory, MountKept>({
  name: 'mount',
  summary: 'file systems: mount, fsopen, fsconfig, fsmount, fspick',
  strategies: [
    {
      name: 'kernel',
      summary: 'mounted by the kernel with the rights of the host, and handed over with nosuid and nodev for good',
      needs: 'CAP_SYS_ADMIN in the initial user namespace, and a type that --mount-allowed names (Linux 5.12)',
    },
    {
      name: 'fuse',
      summary: 'a FUSE program of the container, started there with the rights of the caller',
      needs: 'the program and libfuse in the container, and /dev/fuse',
    },
    {
      name: 'loop',
      summary: 'loop devices of the container, which the supervisor sets up over images that --mount-source names',
      needs: '/dev/loop-control, and CAP_SYS_ADMIN in the initial user namespace (Linux 5.8)',
    },
  ],
  policy: mountPolicy,
  unsupported: (policy, options) => unsupportedMounts(policy, options),
  check: checkMounts,
  calls: (policy, options) => [
    mountCall(options),
    ...newMountCalls(options),
    // losetup(8) and mount -o loop, where there may be an image to set up.
    ...(policy.sources.length > 0 ? [loopCall] : []),
  ],
  prepare: prepareMount,
  adopt: adoptMount,
  attach(policy, _container, kept) {
    if (kept !== undefined) return {shared: newMemory(kept)}
    // A container that somebody else made: what the names lead to now, past no link that it may have made.
    const sources = openSources(policy.sources)
    return {shared: newMemory({loops: undefined, sources}), stop: () => closeSources(sources)}
  },
  start(policy, container, shared = newMemory({loops: undefined, sources: []})) {
    const own = new OwnCapabilities()
    const sources = new MountSources(own, shared.sources)
    return {
      own,
      privateNamespace: new PrivateMountNamespace(own),
      sources,
      standIns: new StandIns(shared.loops, sources, own),
      emulated: new EmulatedMounts(shared.emulated),
      contexts: new FsContexts(shared.contexts),
      policy,
      container,
    }
  },
})

const OF_LOOP_DEVICES = {
  argument: 1,
  width: 32,
  mask: 0xffff_ff00n,
  operator: 'eq',
  value: BigInt(LOOP_SET_FD),
} as const

/** mount(8) asks for it; stand-ins of an ordinary user's are no block devices that could tell. */
const SIZE_REQUEST = {argument: 1, width: 32, operator: 'eq', value: BigInt(BLKGETSIZE64)} as const

const loopCall = defineSyscall({
  name: 'ioctl',
  arguments: {fd: int32(0), request: loopRequest(1), argument: pointer(2)},
  condition: [[OF_LOOP_DEVICES], [SIZE_REQUEST]],
  lane: 'slow',
  decide: (_values, facts: CallerFacts, _policy: MountPolicy) => decideLoop(facts),
  perform: (values, caller, state: MountState) => asStrategy('loop', () => state.standIns.serve(values, caller)),
})

function mountCall(options: FamilyOptions) {
  return defineSyscall({
    name: 'mount',
    arguments: {
      source: mountString(0),
      target: path(1),
      type: mountString(2),
      flags: flags(3, MOUNT_FLAGS),
      data: mountData(4),
    },
    condition: MOUNT_CONDITION,
    lane: 'slow',
    decide: (values, facts, policy: MountPolicy) => decideMount(values, facts, policy, options),
    perform: performMount,
    // do_mount() in fs/namespace.c looks the mount point up first.
    attemptWithoutPermission: ({target}, caller) => void caller.openPath(AT_FDCWD, target, {follow: true}),
  })
}

function performMount(values: MountValues, caller: Caller, state: MountState): Performed {
  if ((plainFlags(values.flags) & MS_REMOUNT) !== 0)
    return asStrategy('kernel', () => performRemount(values, caller, state))
  const {type} = values
  if (type === null) throw new Error('a mount without a type is never performed')
  const name = type.toString('latin1')
  const helper = fuseHelper(name, state.policy)
  if (helper !== undefined) return asStrategy('fuse', () => performFuseMount(values, name, helper, caller, state))
  return asStrategy('kernel', () => performNewMount(values, type, caller, state))
}
