// mknod and mknodat: device nodes for a container whose kernel capabilities do not reach that far.

import {mknodat as makeNode} from '../../../ffi/libc.js'
import {AT_FDCWD} from '../../../kernel/constants.js'
import {dev, dirFd, mode, path} from '../../caller/argument-kinds.js'
import {OwnCapabilities} from '../../caller/own-capabilities.js'
import {defineFamily, defineSyscall} from '../../family.js'
import type {Caller, Performed} from '../../family.js'
import {asStrategy} from '../../strategy.js'
import {BoundNodes} from './bound-nodes.js'
import {checkNodes} from './check.js'
import {decideMknod, deviceNodeCondition, requestedDevice} from './decide.js'
import {isOpenable} from './device.js'
import {followUpCalls} from './follow-up.js'
import {bindNode, makeRealNode, nameWithSlash} from './make-node.js'
import type {MknodState} from './make-node.js'
import {NodeStore} from './node-store.js'
import {mknodPolicy} from './policy.js'
import type {MknodPolicy} from './policy.js'
import {restoreNodes} from './restore-nodes.js'

interface MknodValues {
  readonly dirfd?: number
  readonly path: Buffer
  readonly mode: number
  readonly dev: number
}

export const mknodFamily = defineFamily<MknodPolicy, MknodState>({
  name: 'mknod',
  summary: 'device nodes: mknod, mknodat',
  strategies: [
    {
      name: 'node',
      summary: 'a real device node, in the directory where it was asked for',
      needs: 'CAP_MKNOD in the initial user namespace, and a file system that lets device nodes be opened',
    },
    {
      name: 'bind',
      summary: 'a device node mounted over a new empty file',
      needs: 'CAP_SYS_ADMIN over the mount namespace of the container (Linux 5.2)',
    },
    {
      name: 'record',
      summary: 'an empty file; type and numbers are kept in the manifest alone',
      needs: 'nothing',
    },
  ],
  policy: mknodPolicy,
  check: checkNodes,
  calls: (policy, options) => [mknod, mknodat, ...followUpCalls(policy, options)],
  prepare: ({devices}) => ({
    opensNodes: true,
    deviceRules: devices.filter(isOpenable).map((device) => ({...device, access: 'rw'})),
    archived: devices,
  }),
  attach: (_policy, {rootless}) => ({restores: rootless}),
  start(_policy, container) {
    const own = new OwnCapabilities()
    return {own, store: new NodeStore(own), bound: new BoundNodes(), container, openable: new Set()}
  },
  restore: (policy, state, enter) =>
    state.container.rootless ? restoreNodes(policy, state, enter) : {entries: [], notes: []},
})

const mknod = defineSyscall({
  name: 'mknod',
  arguments: {path: path(0), mode: mode(1), dev: dev(2)},
  condition: deviceNodeCondition(1, 2),
  actsAsCaller: true,
  decide: decideMknod,
  perform: performMknod,
  attemptWithoutPermission,
})

const mknodat = defineSyscall({
  name: 'mknodat',
  arguments: {dirfd: dirFd(0), path: path(1), mode: mode(2), dev: dev(3)},
  condition: deviceNodeCondition(2, 3),
  actsAsCaller: true,
  decide: decideMknod,
  perform: performMknod,
  attemptWithoutPermission,
})

/** Without CAP_MKNOD vfs_mknod() in fs/namei.c makes no device, and says so last of all. */
function attemptWithoutPermission(
  {dirfd = AT_FDCWD, path: name, mode: bits, dev: number}: MknodValues,
  caller: Caller,
) {
  const parent = caller.openParent(dirfd, name)
  caller.act(0n, parent.fd, () => makeNode(parent.fd, nameWithSlash(parent), bits, number))
}

function performMknod(values: MknodValues, caller: Caller, state: MknodState): Performed {
  const request = {device: requestedDevice(values), mode: values.mode, dev: values.dev}
  const {rootless} = state.container
  return asStrategy(rootless ? 'bind' : 'node', () => {
    const parent = caller.openParent(values.dirfd ?? AT_FDCWD, values.path)
    const real = rootless ? undefined : makeRealNode(request, caller, state, parent)
    if (real !== undefined) return real
    caller.beSupervisor()
    return asStrategy('bind', () => bindNode(request, caller, state, parent))
  })
}
