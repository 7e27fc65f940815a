// From what was asked for to the plan of the file system: looks at the host, applies the guard, plans.

import {accessSync, constants, readFileSync, statSync} from 'node:fs'
import {LaunchError, UsageError} from '../../errors.js'
import type {PreparedFamilies} from '../../intercept/engine/prepared.js'
import {planFilesystem, type FilesystemPlan} from './index.js'
import {homesOf, refusal, setuidWarning} from './writable-roots.js'
import {factsOf, thisHost, type FileFacts} from './host.js'
import type {NamedPlaces} from './named-places.js'
import type {FilesystemStep} from '../plan.js'
import type {IdMaps} from '../userns/idmap.js'
import type {ContainerOptions} from '../run-options.js'
import {resolveOnHost} from './mount-points.js'
import {absolute, below, display, join} from '../../host/path-bytes.js'

export interface FilesystemRequest {
  readonly container: ContainerOptions
  /** What families ask for. */
  readonly families: Pick<PreparedFamilies, 'nodes' | 'opensNodes' | 'shown'>
  readonly rootless: boolean
  /** What the container's root writes is root's outside: on the host, or in a container that we were started in. */
  readonly writesAsRoot: boolean
  /** Those chosen for the container, as the supervisor's user namespace sees them. */
  readonly maps: IdMaps
  /** Device path of the terminal among the standard streams. */
  readonly terminal: Buffer | undefined
  /** All that `container` and the families name, and the current directory. */
  readonly places: NamedPlaces
  /** HOME of the environment. */
  readonly home: Buffer | undefined
  /** Where the container gets its own cgroup of the unified hierarchy. */
  readonly cgroups?: Buffer | undefined
}

export interface PreparedFilesystem extends FilesystemPlan {
  readonly currentDirectory: Buffer
  /** Lines for the person, without our name. */
  readonly warnings: readonly string[]
}

/** Throws UsageError where a path can't be had, or where writing to it would endanger the host. */
export function prepareFilesystem(request: FilesystemRequest): PreparedFilesystem {
  const {container, families, places, rootless, writesAsRoot, terminal} = request
  const {currentDirectory} = places
  const host = places.over(thisHost)
  const rootfs = container.rootfs && resolveOnHost(host, absolute(container.rootfs, currentDirectory)).path
  const refused = (directory: Buffer) =>
    refusal({directory, rootless: !writesAsRoot, homes: homes(request.home), stat: followed})
  if (rootfs !== undefined) {
    const cause = refused(rootfs)
    if (cause !== undefined) throw new UsageError(`cannot use --rootfs ${display(rootfs)}: ${cause}`)
  }
  const bindCurrentDirectory = rootfs === undefined && decideBind(request, currentDirectory, refused)
  const plan = planFilesystem(
    {
      rootless,
      ...request.maps,
      rootfs,
      currentDirectory,
      bindCurrentDirectory,
      binds: container.binds,
      tmpfs: container.tmpfs,
      devices: container.devices,
      shown: families.shown,
      nodes: families.nodes,
      workdir: container.workdir,
      readOnly: container.readOnly,
      network: container.network,
      cgroups: request.cgroups,
      opensNodes: families.opensNodes,
      terminal,
    },
    host,
  )
  requireOpened(plan.steps, places)
  const written = rootfs ?? (bindCurrentDirectory ? currentDirectory : undefined)
  const warning =
    written === undefined || !writesAsRoot || container.readOnly ? undefined : setuidWarning(written, followed)
  return {
    ...plan,
    currentDirectory,
    warnings: [...(warning === undefined ? [] : [warning]), ...deviceWarnings(request)],
  }
}

/** Where an ordinary user's container gets less of a node than was asked for. */
function deviceWarnings({rootless, container}: FilesystemRequest): readonly string[] {
  if (!rootless) return []
  return container.devices.flatMap(({path, mode, owner}) => [
    ...(mode === undefined && owner === undefined
      ? []
      : [`--device ${display(path)} keeps the owner and the mode of the host's node: only root can make another one`]),
    ...(canOpen(path)
      ? []
      : [`--device ${display(path)} cannot be opened in the container: this user may not open it on the host`]),
  ])
}

function canOpen(path: Buffer): boolean {
  try {
    accessSync(path, constants.R_OK | constants.W_OK)
    return true
  } catch {
    return false
  }
}

/** While it was planned, another container may have changed where a path leads to. */
function requireOpened(steps: readonly FilesystemStep[], {descriptors}: NamedPlaces): void {
  for (const step of steps) {
    if (!('named' in step) || descriptors.has(step.source.toString('latin1'))) continue
    throw new LaunchError(`cannot use ${display(step.source)}: something else was put in its place meanwhile`)
  }
}

/** Not where --bind names it already; a refused one is passed over where the person said where to work instead. */
function decideBind(
  request: FilesystemRequest,
  currentDirectory: Buffer,
  refused: (directory: Buffer) => string | undefined,
): boolean {
  const isBound = request.container.binds.some(({source, target = source}) => {
    const rest = below(currentDirectory, absolute(target, currentDirectory))
    if (rest === undefined) return false
    const real = resolveOnHost(thisHost, absolute(source, currentDirectory)).path
    return join(real, ...rest).equals(currentDirectory)
  })
  if (isBound) return false
  const cause = refused(currentDirectory)
  if (cause === undefined) return true
  if (request.container.workdir !== undefined || !request.writesAsRoot) return false
  throw new UsageError(`cannot make the current directory ${display(currentDirectory)} writable: ${cause}`, {
    hints: [
      'change to a directory of its own for this work',
      'or name what the container may write to: --bind DIR --workdir DIR',
    ],
  })
}

function homes(home: Buffer | undefined): readonly Buffer[] {
  const named = homesOf(readFileSync('/etc/passwd'))
  return home === undefined || home.length === 0 ? named : [...named, home]
}

function followed(path: Buffer): FileFacts | undefined {
  try {
    return factsOf(statSync(path, {bigint: true}))
  } catch {
    return undefined
  }
}
