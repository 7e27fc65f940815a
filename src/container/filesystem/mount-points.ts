// Keeps track of what is mounted where while steps are planned, so that each mount point exists and can be reached.

import {LaunchError, UsageError} from '../../errors.js'
import type {FileFacts, Host} from './host.js'
import {below, components, display, isAbsolute, join, parent, ROOT} from '../../host/path-bytes.js'
import type {FilesystemStep, MountFlags} from '../plan.js'

/** One mount that was asked for, at `target` of the container. */
export interface MountRequest {
  readonly target: Buffer
  mount(points: MountPoints): void
}

/** What lies at a path of the container and everything below it that is not covered again. */
export type Cover =
  /** A tmpfs of ours: what is needed is made there. */
  | {readonly kind: 'fresh'; readonly target: Buffer}
  /** A tree of the host that the container may have changed: missing mount points are made in it. */
  | {readonly kind: 'writable'; readonly target: Buffer; readonly source: Buffer}
  /** A tree of the host that must not change. */
  | {readonly kind: 'fixed'; readonly target: Buffer; readonly source: Buffer; readonly reached: boolean}

export interface Resolved {
  /** In normal form, without links. */
  readonly path: Buffer
  /** Undefined where nothing is there yet, or where the place is a tmpfs of ours. */
  readonly facts: FileFacts | undefined
}

const MAX_LINKS = 40
/** Entries of a directory that is rebuilt because a mount point is missing in it. */
const MAX_MIRRORED = 512

/** Flags of everything that is only shown to the container. */
export const SHOWN: MountFlags = {readOnly: true, nosuid: true, nodev: true}

/** Builds the first group of steps: those that happen before the container's own namespaces exist. */
export class MountPoints {
  readonly steps: FilesystemStep[] = []
  readonly #covers: Cover[] = []
  readonly #sealed: Buffer[] = []
  readonly #host: Host
  readonly #reaches: (facts: FileFacts) => boolean

  /** `reaches` says whether the container's root could traverse a directory of the host. */
  constructor(host: Host, root: Cover, reaches: (facts: FileFacts) => boolean) {
    this.#host = host
    this.#covers.push(root)
    this.#reaches = reaches
  }

  /** Follows links as the container would, through what has been planned so far. */
  resolve(path: Buffer): Resolved {
    return resolveThrough(this.#host, path, (at) => this.#origin(at))
  }

  /** Makes a place reachable before anything is mounted, so that what is mounted is not covered later. */
  prepare(path: Buffer): void {
    this.#open(this.resolve(path).path)
  }

  /** Sees to it that there is a directory or a file at `path`, ready to be mounted on; gives its resolved path. */
  ensure(path: Buffer, type: 'directory' | 'file', mode = type === 'directory' ? 0o755 : 0o644): Buffer {
    const {path: target, facts} = this.resolve(path)
    if (facts !== undefined && (facts.type === 'directory') !== (type === 'directory'))
      throw new UsageError(`cannot mount at ${display(target)}: it is ${type === 'directory' ? 'no' : 'a'} directory`)
    this.#open(target)
    const cover = this.#coverOf(target)
    if (cover.kind === 'fixed' || cover.target.equals(target)) return target
    const above = parent(target)
    if (type === 'file' && !this.#coverOf(above).target.equals(above))
      this.steps.push({kind: 'directory', target: above, mode: 0o755})
    this.steps.push({kind: type, target, mode})
    return target
  }

  /** A tmpfs of the container's own at a path that `ensure` gave. */
  tmpfs(target: Buffer, mode: number, flags: MountFlags, sizeBytes = 0): void {
    this.steps.push({kind: 'tmpfs', target, mode, sizeBytes, flags})
    this.#covers.push({kind: 'fresh', target})
  }

  bind(step: Omit<Extract<FilesystemStep, {kind: 'bind'}>, 'inside' | 'kind'>): void {
    this.steps.push({kind: 'bind', ...step})
    const {source, target} = step
    this.#covers.push(
      step.flags.readOnly === true
        ? {kind: 'fixed', source, target, reached: true}
        : {kind: 'writable', source, target},
    )
  }

  /** Replaces a directory of the host by an empty one, in which only what is mounted there later is to be seen. */
  hide(path: Buffer): void {
    const {path: target, facts} = this.resolve(path)
    if (facts?.type === 'directory' && this.#coverOf(target).kind === 'fixed') this.#skeleton(target)
  }

  /** True where the container does not see what the host has at this path. */
  isReplaced(path: Buffer): boolean {
    const cover = this.#coverOf(path)
    return cover.kind !== 'fixed' || !cover.target.equals(cover.source)
  }

  /** Makes skeleton directories read-only; no mount point can be added afterwards. */
  seal(): void {
    for (const target of this.#sealed) this.steps.push({kind: 'seal', target})
  }

  /**
   * Replaces what stands in the way of reaching `target`: the first ancestor that the container's root could not
   * traverse by an empty directory, and the last one that exists by a copy, where the rest is missing. The host's own
   * tree is never added to.
   */
  #open(target: Buffer): void {
    const parts = components(target)
    for (let depth = 1; depth <= parts.length; depth++) {
      const at = join(ROOT, ...parts.slice(0, depth))
      const cover = this.#coverOf(at)
      if (cover.kind === 'fresh') return
      const facts = this.#host.lstat(sourceOf(cover, at))
      if (facts === undefined) {
        if (cover.kind === 'fixed') this.#mirror(parent(at))
        return
      }
      const own = cover.kind === 'fixed' && !cover.reached
      if (own && depth < parts.length && facts.type === 'directory' && !this.#reaches(facts)) {
        this.#skeleton(at)
        return
      }
    }
  }

  #skeleton(target: Buffer): void {
    this.tmpfs(target, 0o755, {nosuid: true, nodev: true})
    this.#sealed.push(target)
  }

  /** A directory with the entries of the one that it covers, each bound from there, to which more can be added. */
  #mirror(target: Buffer): void {
    const cover = this.#coverOf(target)
    if (cover.kind === 'fresh' || cover.target.equals(target))
      throw new UsageError(
        `cannot mount below ${display(target)}: the mount point is missing and the directory is read-only`,
        {
          hints: ['choose a place below /mnt, /tmp or /run, or one that exists'],
        },
      )
    const source = sourceOf(cover, target)
    const names = this.#list(source)
    this.#skeleton(target)
    for (const name of names) this.#show(join(source, name), join(target, name))
  }

  #list(directory: Buffer): readonly Buffer[] {
    const names = this.#host.list(directory)
    if (names.length > MAX_MIRRORED)
      throw new UsageError(
        `cannot make a mount point in ${display(directory)}: it has more than ${MAX_MIRRORED} entries`,
        {
          hints: ['choose a place below /mnt, /tmp or /run, or one that exists'],
        },
      )
    return names
  }

  #show(source: Buffer, target: Buffer): void {
    const facts = this.#host.lstat(source)
    if (facts === undefined) return
    if (facts.type === 'symlink') {
      this.steps.push({kind: 'symlink', target, to: this.#host.readlink(source)})
      return
    }
    this.steps.push({kind: facts.type === 'directory' ? 'directory' : 'file', target, mode: 0o755})
    this.steps.push({kind: 'bind', source, target, idmap: false, recursive: true, flags: SHOWN})
    this.#covers.push({kind: 'fixed', source, target, reached: false})
  }

  #origin(at: Buffer): Buffer | undefined {
    const cover = this.#coverOf(at)
    return cover.kind === 'fresh' ? undefined : sourceOf(cover, at)
  }

  /** The last one planned among those that contain the path. */
  #coverOf(path: Buffer): Cover {
    const found = this.#covers.findLast(({target}) => below(path, target) !== undefined)
    if (found === undefined) throw new LaunchError('cannot plan the file system: it has no root')
    return found
  }
}

/** Follows links on the host itself. */
export function resolveOnHost(host: Host, path: Buffer): Resolved {
  return resolveThrough(host, path, (at) => at)
}

function sourceOf(cover: Exclude<Cover, {kind: 'fresh'}>, at: Buffer): Buffer {
  return join(cover.source, ...(below(at, cover.target) ?? []))
}

/** `origin` gives the host's path of a path in normal form, or undefined where the host has nothing to do with it. */
function resolveThrough(host: Host, path: Buffer, origin: (at: Buffer) => Buffer | undefined): Resolved {
  const pending = [...components(path)]
  let current: Buffer = ROOT
  let facts: FileFacts | undefined
  let links = 0
  for (let name = pending.shift(); name !== undefined; name = pending.shift()) {
    if (name.equals(DOT)) continue
    if (name.equals(DOT_DOT)) {
      current = parent(current)
      facts = undefined
      continue
    }
    const next = join(current, name)
    const where = origin(next)
    facts = where === undefined ? undefined : host.lstat(where)
    if (where === undefined || facts?.type !== 'symlink') {
      current = next
      continue
    }
    if (++links > MAX_LINKS) throw new UsageError(`cannot follow ${display(path)}: too many levels of symbolic links`)
    const to = host.readlink(where)
    if (isAbsolute(to)) current = ROOT
    pending.unshift(...components(to))
    facts = undefined
  }
  if (facts === undefined) {
    const where = origin(current)
    if (where !== undefined) facts = host.lstat(where)
  }
  return {path: current, facts}
}

const DOT = Buffer.from('.')
const DOT_DOT = Buffer.from('..')
