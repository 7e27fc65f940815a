// --export: what goes where is settled before the container is made, and written when its command has succeeded.

import {closeSync, constants, openSync} from 'node:fs'

import {LaunchError, UsageError} from '../../errors.js'
import {SystemError} from '../../ffi/errors.js'
import {close} from '../../ffi/libc.js'
import {openat2} from '../../ffi/mount.js'
import {openNamedIfThere} from '../../host/open.js'
import {absolute, below, components, display} from '../../host/path-bytes.js'
import {idInside} from '../../intercept/caller/id-map.js'
import {O_CLOEXEC, RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_XDEV} from '../../kernel/constants.js'
import type {Device} from '../../kernel/device-numbers.js'
import {thisHost} from '../filesystem/host.js'
import {resolveOnHost} from '../filesystem/mount-points.js'
import type {NamedPlaces} from '../filesystem/named-places.js'
import type {FilesystemStep} from '../plan.js'
import type {IdMaps} from '../userns/idmap.js'
import type {ExportIds} from './attributes.js'
import {ExportOutput} from './output.js'
import {exportTree} from './tree.js'

export interface ExportRequest {
  /** `-` is standard output. */
  readonly file: Buffer
  /** Directory of the host; it may be made by the command. */
  readonly root: Buffer
  /** What was opened for the container. */
  readonly places: NamedPlaces
  readonly steps: readonly FilesystemStep[]
  readonly maps: IdMaps
  /** What mknod may make; none without it. */
  readonly devices: readonly Device[]
  /** Trusted attributes that setxattr may set; none without it. */
  readonly trusted: readonly string[]
}

/** One archive to come. `close` is called in any case. */
export class Export {
  readonly #output: ExportOutput
  readonly #options: Parameters<typeof exportTree>[2]
  readonly #base: number
  readonly #rest: Buffer
  readonly #shown: string
  #isWhole = false

  private constructor(
    output: ExportOutput,
    base: number,
    rest: Buffer,
    shown: string,
    request: ExportRequest,
    ids: ExportIds,
  ) {
    this.#output = output
    this.#base = base
    this.#rest = rest
    this.#shown = shown
    this.#options = {ids, devices: request.devices, trusted: new Set(request.trusted)}
  }

  /**
   * Finds the tree below what the container is shown, from where it is looked up at the end without leaving it: the
   * command may have put a link to anywhere in its place.
   */
  static prepare(request: ExportRequest): Export {
    const shown = display(request.root)
    const {places} = request
    const named = absolute(request.root, places.currentDirectory)
    const there = openNamedIfThere('export-root', named)
    if (there !== undefined) close(there)
    const path = resolveOnHost(thisHost, named).path
    const step = stepAround(path, request.steps)
    const base = step?.source ?? path
    const rest = (below(path, base) ?? []).flatMap((name) => [Buffer.from('/'), name]).slice(1)
    const {O_DIRECTORY, O_RDONLY} = constants
    let directory: number
    try {
      directory = openSync(places.fileOf(base), O_RDONLY | O_DIRECTORY)
    } catch (cause) {
      throw new UsageError(`cannot export ${shown}`, {
        cause,
        hints: ['name a directory of the host: --export-root DIR'],
      })
    }
    try {
      const output = ExportOutput.open(request.file)
      const ids = idsOf(step, request.maps)
      return new Export(
        output,
        directory,
        rest.length === 0 ? Buffer.from('.') : Buffer.concat(rest),
        shown,
        request,
        ids,
      )
    } catch (error) {
      closeSync(directory)
      throw error
    }
  }

  /** Lines for the person. */
  async write(): Promise<readonly string[]> {
    const root = this.#openRoot()
    try {
      const notes = await exportTree(root, this.#output, this.#options)
      this.#isWhole = true
      return notes
    } finally {
      closeSync(root)
    }
  }

  close(): void {
    closeSync(this.#base)
    this.#output.close(this.#isWhole)
  }

  #openRoot(): number {
    const {O_DIRECTORY, O_RDONLY} = constants
    const resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV
    try {
      return openat2(this.#base, this.#rest, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, resolve)
    } catch (cause) {
      if (!(cause instanceof SystemError)) throw cause
      throw new LaunchError(`cannot export ${this.#shown}`, {
        cause,
        hints: ['the command must leave a directory there: --export-root DIR names another'],
      })
    }
  }
}

type Tree = Extract<FilesystemStep, {kind: 'bind' | 'root'}>

/** The innermost of the directories that the container is shown as they are. */
function stepAround(path: Buffer, steps: readonly FilesystemStep[]): Tree | undefined {
  const around = steps.filter((step): step is Tree => {
    if (step.kind !== 'bind' && step.kind !== 'root') return false
    return components(step.source).length > 0 && below(path, step.source) !== undefined
  })
  return around.reduce<Tree | undefined>(
    (inner, step) =>
      inner === undefined || components(step.source).length > components(inner.source).length ? step : inner,
    undefined,
  )
}

/** On disk below an id-mapped mount are the container's own ids. */
function idsOf(step: Tree | undefined, {uidMap, gidMap}: IdMaps): ExportIds {
  if (step?.idmap === true) return {uid: (id) => id, gid: (id) => id}
  return {uid: (id) => idInside(uidMap, id), gid: (id) => idInside(gidMap, id)}
}
