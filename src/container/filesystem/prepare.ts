// From what was asked for to the plan of the file system: looks at the host, applies the guard, plans.

import {accessSync, constants, readFileSync, statSync} from 'node:fs'
import {LaunchError, UsageError} from '../../errors.js'
import type {PreparedFamilies} from '../../intercept/engine/prepared.js'
import {planFilesystem, type FilesystemPlan} from './index.js'
import {homesOf, refusal, setuidWarning} from './writable-roots.js'
import {executed, refuseWritable, trustList, type Guarded} from './guarded.js'
import {factsOf, thisHost, type FileFacts} from './host.js'
import type {NamedPlaces} from './named-places.js'
import type {FilesystemStep} from '../plan.js'
import type {IdMaps} from '../userns/idmap.js'
import type {ContainerOptions} from '../run-options.js'
import {resolveOnHost} from './mount-points.js'
import {absolute, below, display, isAbsolute, join, ROOT} from '../../host/path-bytes.js'
import {isSystem} from '../../host/system-directories.js'
import {trustStore} from '../../host/trust-store.js'

const HOME = 'it is, or holds, your home directory'

export interface FilesystemRequest {
  readonly container: ContainerOptions
  /** What families ask for. */
  readonly families: Pick<PreparedFamilies, 'executed' | 'nodes' | 'opensNodes' | 'shown'>
  readonly rootless: boolean
  /** What the container's root writes is root's outside: on the host, or in a container that we were started in. */
  readonly writesAsRoot: boolean
  /** Those chosen for the container, as the supervisor's user namespace sees them. */
  readonly maps: IdMaps
  /** Device path of the terminal among the standard streams. */
  readonly terminal: Buffer | undefined
  /** All that `container` and the families name, and the current directory. */
  readonly places: NamedPlaces
  /** The ordinary user, as the host numbers it; undefined for root. */
  readonly uid: number | undefined
  /** HOME of the environment. */
  readonly home: Buffer | undefined
  /** Where the container gets its own cgroup of the unified hierarchy. */
  readonly cgroups?: Buffer | undefined
}

export interface PreparedFilesystem extends FilesystemPlan {
  readonly currentDirectory: Buffer
  readonly hidden: readonly Buffer[]
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
  const hidden = rootfs === undefined && !container.showsHome ? ownHomes(request) : []
  const bindCurrentDirectory = rootfs === undefined && decideBind(request, currentDirectory, {refused, hidden})
  const plan = planFilesystem(
    {
      rootless,
      ...request.maps,
      rootfs,
      currentDirectory,
      bindCurrentDirectory,
      hidden,
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
  refuseWritable(plan.steps, [...families.executed.map(executed), ...trusted(request)])
  const written = rootfs ?? (bindCurrentDirectory ? currentDirectory : undefined)
  const warning =
    written === undefined || !writesAsRoot || container.readOnly ? undefined : setuidWarning(written, followed)
  return {
    ...plan,
    currentDirectory,
    hidden,
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

function trusted({rootless, home}: FilesystemRequest): readonly Guarded[] {
  const store = rootless ? trustStore({...process.env, ...(home && {HOME: home.toString()})}) : undefined
  return store === undefined ? [] : [trustList(Buffer.from(store))]
}

/** Not where --bind names it already; a refused one is passed over where the person said where to work instead. */
function decideBind(
  request: FilesystemRequest,
  currentDirectory: Buffer,
  {refused, hidden}: {refused: (directory: Buffer) => string | undefined; hidden: readonly Buffer[]},
): boolean {
  const isBound = request.container.binds.some(({source, target = source}) => {
    const rest = below(currentDirectory, absolute(target, currentDirectory))
    if (rest === undefined) return false
    const real = resolveOnHost(thisHost, absolute(source, currentDirectory)).path
    return join(real, ...rest).equals(currentDirectory)
  })
  if (isBound) return false
  const {workdir, readOnly} = request.container
  const isHome = hidden.some((home) => below(home, currentDirectory) !== undefined)
  // Not bound, it is shown read-only with the host's root, but for homes below it.
  const isShown = readOnly && !hidden.some((home) => home.equals(currentDirectory))
  if (isHome && (workdir !== undefined || isShown)) return false
  if (isHome)
    throw new UsageError(`cannot make the current directory ${display(currentDirectory)} writable: ${HOME}`, {
      hints: [
        'change to a directory of its own for this work',
        'or show it read-only: --home ro; or let the container write to all of it: --bind DIR',
      ],
    })
  const cause = refused(currentDirectory)
  if (cause === undefined) return true
  if (workdir !== undefined || isShown || !request.writesAsRoot) return false
  throw new UsageError(`cannot make the current directory ${display(currentDirectory)} writable: ${cause}`, {
    hints: [
      'change to a directory of its own for this work',
      'or name what the container may write to: --bind DIR --workdir DIR',
      'or show all of it read-only: --read-only',
    ],
  })
}

/** What holds the keys and the sockets of the user whose rights an ordinary user's container has. */
function ownHomes({rootless, home, uid}: FilesystemRequest): readonly Buffer[] {
  if (!rootless) return []
  const named = homesOf(readFileSync('/etc/passwd'), uid)
  const paths = [...named, ...(home === undefined || home.length === 0 ? [] : [home])]
    .filter((path) => isAbsolute(path))
    .map((path) => resolveOnHost(thisHost, path))
    .filter(({path, facts}) => facts?.type === 'directory' && !path.equals(ROOT) && !isSystem(path))
    .map(({path}) => path)
  return paths.filter((path, index) => paths.findIndex((other) => other.equals(path)) === index)
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
