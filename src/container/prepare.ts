// From what was asked for to the plan of the file system: looks at the host, applies the guard, plans.

import {readFileSync, statSync} from 'node:fs'
import {UsageError} from '../errors.js'
import {planFilesystem, type FilesystemOptions, type FilesystemPlan} from './filesystem.js'
import {homesOf, refusal, setuidWarning} from './guard.js'
import {factsOf, physicalCurrentDirectory, thisHost, type FileFacts} from './host.js'
import {resolveOnHost} from './mount-points.js'
import {absolute, below, display, join} from './path-bytes.js'

export type FilesystemRequest = Omit<FilesystemOptions, 'bindCurrentDirectory' | 'currentDirectory'> & {
  /** HOME of the environment. */
  readonly home: Buffer | undefined
}

export interface PreparedFilesystem extends FilesystemPlan {
  readonly currentDirectory: Buffer
  /** Lines for the person, without our name. */
  readonly warnings: readonly string[]
}

/** Throws UsageError where a path can't be had, or where writing to it would endanger the host. */
export function prepareFilesystem(request: FilesystemRequest): PreparedFilesystem {
  const currentDirectory = physicalCurrentDirectory()
  const rootfs = request.rootfs && resolveOnHost(thisHost, absolute(request.rootfs, currentDirectory)).path
  const refused = (directory: Buffer) =>
    refusal({directory, rootless: request.rootless, homes: homes(request.home), stat: followed})
  if (rootfs !== undefined) {
    const cause = refused(rootfs)
    if (cause !== undefined) throw new UsageError(`cannot use --rootfs ${display(rootfs)}: ${cause}`)
  }
  const bindCurrentDirectory = rootfs === undefined && decideBind(request, currentDirectory, refused)
  const plan = planFilesystem({...request, rootfs, currentDirectory, bindCurrentDirectory}, thisHost)
  const written = rootfs ?? (bindCurrentDirectory ? currentDirectory : undefined)
  const warning =
    written === undefined || request.rootless || request.readOnly ? undefined : setuidWarning(written, followed)
  return {...plan, currentDirectory, warnings: warning === undefined ? [] : [warning]}
}

/** Not where --bind names it already; a refused one is passed over where the person said where to work instead. */
function decideBind(
  request: FilesystemRequest,
  currentDirectory: Buffer,
  refused: (directory: Buffer) => string | undefined,
): boolean {
  const isBound = request.binds.some(({source, target}) => {
    const rest = below(currentDirectory, absolute(target, currentDirectory))
    if (rest === undefined) return false
    const real = resolveOnHost(thisHost, absolute(source, currentDirectory)).path
    return join(real, ...rest).equals(currentDirectory)
  })
  if (isBound) return false
  const cause = refused(currentDirectory)
  if (cause === undefined) return true
  if (request.workdir !== undefined || request.rootless) return false
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
    return factsOf(statSync(path))
  } catch {
    return undefined
  }
}
