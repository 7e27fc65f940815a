// Device nodes of the container: made by a privileged supervisor, or those of the host.

import {UsageError} from '../../errors.js'
import type {IdMapExtent} from '../../intercept/container.js'
import type {FilesystemStep, Named} from '../plan.js'
import type {DeviceOption} from '../run-options.js'
import {toHost} from '../userns/idmap.js'
import type {Host} from './host.js'
import type {NodeOption} from '../../intercept/preparation.js'
import {resolveOnHost} from './mount-points.js'
import type {MountPoints, MountRequest} from './mount-points.js'
import {absolute, display, normal} from '../../host/path-bytes.js'

/** What nodes depend on beside the host. */
interface NodeOptions {
  readonly rootless: boolean
  readonly uidMap: readonly IdMapExtent[]
  readonly gidMap: readonly IdMapExtent[]
  readonly currentDirectory: Buffer
}

/**
 * The host's node belongs to ids that the container does not have. So the supervisor makes another one, of the container's
 * root; one of an ordinary user makes no nodes, and the container gets what the user may open.
 */
export function deviceRequest({path, mode, owner}: DeviceOption, options: NodeOptions, host: Host): MountRequest {
  const named = absolute(path, options.currentDirectory)
  const {path: source, facts} = resolveOnHost(host, named)
  if (facts?.device === undefined) throw new UsageError(`cannot use --device ${display(path)}: it is no device node`)
  const target = normal('--device', named)
  if (options.rootless) return bindNodeRequest(source, target, facts)
  const {uid, gid} = owner ?? {uid: 0, gid: 0}
  const [hostUid, hostGid] = [toHost(options.uidMap, uid), toHost(options.gidMap, gid)]
  if (hostUid === undefined || hostGid === undefined)
    throw new UsageError(
      `cannot give --device ${display(path)} to ${uid}:${gid}: the container does not have these ids`,
      {
        hints: ['name ids of its map, or widen it with --uid-map and --gid-map'],
      },
    )
  return madeNodeRequest(target, {device: facts.device, mode: mode ?? facts.mode & 0o777, uid: hostUid, gid: hostGid})
}

export function ownNodeRequest(node: NodeOption, {uidMap, gidMap}: NodeOptions): MountRequest {
  const target = normal('a device node', node.path)
  if ('source' in node) return bindNodeRequest(node.source, target)
  const [uid, gid] = [toHost(uidMap, 0) ?? 0, toHost(gidMap, 0) ?? 0]
  return madeNodeRequest(target, {device: node.device, mode: node.mode, uid, gid})
}

type MadeNode = Omit<Extract<FilesystemStep, {kind: 'node'}>, 'kind' | 'target'>

function madeNodeRequest(target: Buffer, node: MadeNode): MountRequest {
  return {
    target,
    mount(points) {
      points.steps.push({kind: 'node', target: points.ensure(target, 'file'), ...node})
    },
  }
}

/** `named`: where a person named the node. */
export function bindNodeRequest(source: Buffer, target: Buffer, named?: Named): MountRequest {
  return {target, mount: (points) => bindNode(points, source, target, named)}
}

export function bindNode(points: MountPoints, source: Buffer, target: Buffer, named?: Named): void {
  const at = points.ensure(target, 'file')
  const flags = {nosuid: true, noexec: true}
  points.bind({
    source,
    target: at,
    idmap: false,
    recursive: false,
    flags,
    ...(named && {named: {identity: named.identity}}),
  })
}
