// The record of running containers, one file each, by which exec finds them and later runs clear up after dead ones.

import {
  accessSync,
  closeSync,
  constants,
  fstatSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  renameSync,
  rmdirSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import {join} from 'node:path'
import {LaunchError, UsageError} from '../errors.js'
import {randomHex} from '../ffi/process.js'
import type {Policy} from '../intercept/policy.js'

/** A process that can't be mistaken for a later one with the same number. */
export interface ProcessIdentity {
  readonly pid: number
  /** Field 22 of /proc/PID/stat: ticks since boot. */
  readonly startTime: string
}

export interface RunState {
  readonly version: 1
  readonly name: string
  /** Pids are those of this namespace (link of /proc/self/ns/pid). */
  readonly pidNamespace: string
  readonly supervisor: ProcessIdentity
  /** Undefined while the container is being made. */
  readonly init?: ProcessIdentity
  readonly rootless: boolean
  readonly policy: Policy
  /** Directories made for this run, removed with it. */
  readonly cgroups: readonly string[]
  readonly startedAt: string
  /** What exec needs beside this: plain data. */
  readonly control: Readonly<Record<string, unknown>>
}

export type RunDetails = Pick<RunState, 'policy' | 'rootless'> & Partial<Pick<RunState, 'cgroups' | 'control' | 'init'>>

export const NAME_PATTERN = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/
const MAX_STATE_BYTES = 1024 * 1024
const SUFFIX = '.json'
const TEMPORARY = '/tmp'
const QUIETLY = {throwIfNoEntry: false, bigint: true} as const

/** `uid` is the person's own id, also where the process is root of a user namespace. */
export function stateDirectory({
  uid,
  runtimeDirectory,
}: {
  readonly uid: number
  /** XDG_RUNTIME_DIR. */
  readonly runtimeDirectory: string | undefined
}): string {
  // Root of a namespace may have no right to the host's /run.
  if (uid === 0 && (isWritable('/run') || isWritable('/run/interceptor'))) return '/run/interceptor'
  if (runtimeDirectory?.startsWith('/') === true && isOwnDirectory(runtimeDirectory))
    return join(runtimeDirectory, 'interceptor')
  if (isOwnDirectory(`/run/user/${uid}`)) return `/run/user/${uid}/interceptor`
  return temporaryStateDirectory(TEMPORARY, uid)
}

/**
 * In a directory that everyone can write to, another user may have taken the name first. Then it is a name that nobody
 * can guess, which later runs find by its owner; the oldest is the one, so that runs which began at once come to agree.
 */
export function temporaryStateDirectory(directory: string, uid: number): string {
  const usual = `interceptor-${uid}`
  const own = readdirSync(directory)
    .filter((name) => name === usual || name.startsWith(`${usual}.`))
    .map((name) => ({path: join(directory, name), stats: lstatSync(join(directory, name), QUIETLY)}))
    .filter(({stats}) => stats?.isDirectory() === true && stats.uid === BigInt(process.geteuid?.() ?? uid))
    .toSorted((a, b) => Number(a.stats!.birthtimeNs - b.stats!.birthtimeNs))
  if (own[0] !== undefined) return own[0].path
  const isFree = lstatSync(join(directory, usual), QUIETLY) === undefined
  return join(directory, isFree ? usual : `${usual}.${randomHex(8)}`)
}

export function checkName(name: string): string {
  if (NAME_PATTERN.test(name)) return name
  throw new UsageError(`cannot use the name ${JSON.stringify(name)}`, {
    hints: ['use at most 64 letters, digits, dots, dashes and underscores, and begin with a letter or digit'],
  })
}

export function generateName(): string {
  return `run-${randomHex(4)}`
}

export function identify(pid: number): ProcessIdentity | undefined {
  const startTime = startTimeOf(pid)
  return startTime === undefined ? undefined : {pid, startTime}
}

export function isAlive(identity: ProcessIdentity): boolean {
  return startTimeOf(identity.pid) === identity.startTime
}

/** A run's own record. */
export class StateRecord {
  #state: RunState
  readonly #directory: string

  private constructor(directory: string, state: RunState) {
    this.#directory = directory
    this.#state = state
  }

  /** Takes a name for this process; a name in use by a live run is an error. */
  static claim(directory: string, name: string | undefined, details: RunDetails): StateRecord {
    prepareDirectory(directory)
    const supervisor = identify(process.pid)
    if (supervisor === undefined) throw new LaunchError('cannot read /proc/self/stat')
    const state: RunState = {
      version: 1,
      name: checkName(name ?? generateName()),
      pidNamespace: readlinkSync('/proc/self/ns/pid'),
      supervisor,
      startedAt: new Date().toISOString(),
      cgroups: [],
      control: {},
      ...details,
    }
    listRuns(directory) // clears up after dead runs, whose names are free again
    const file = fileOf(directory, state.name)
    const temporary = writeTemporary(directory, state)
    try {
      // link(2) is atomic and does not replace: the file appears whole, or not at all.
      linkSync(temporary, file)
    } catch (cause) {
      if (!hasCode(cause, 'EEXIST')) throw new LaunchError(`cannot write ${file}`, {cause})
      throw new LaunchError(`cannot use the name ${state.name}: a running container has it`, {
        hints: ['choose another --name', 'or leave it out: each run then gets a name of its own'],
      })
    } finally {
      unlinkSync(temporary)
    }
    return new StateRecord(directory, state)
  }

  get state(): RunState {
    return this.#state
  }

  /** Where it is written, for whoever cleans up after us. */
  get file(): string {
    return fileOf(this.#directory, this.#state.name)
  }

  update(details: Partial<RunDetails>): void {
    this.#state = {...this.#state, ...details}
    const temporary = writeTemporary(this.#directory, this.#state)
    renameSync(temporary, fileOf(this.#directory, this.#state.name))
  }

  /** At the end of the run. The cgroups are the run's own to remove before. */
  release(): void {
    const file = fileOf(this.#directory, this.#state.name)
    const current = readState(file)
    if (current?.supervisor.startTime !== this.#state.supervisor.startTime) return
    if (current.supervisor.pid === this.#state.supervisor.pid) unlinkSync(file)
  }
}

/** Live runs, oldest first. What dead ones left, the record and cgroup directories, is removed on the way. */
export function listRuns(directory: string): readonly RunState[] {
  let names: string[]
  try {
    checkDirectory(directory)
    names = readdirSync(directory)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return []
    throw error
  }
  const live: RunState[] = []
  for (const name of names) {
    if (!name.endsWith(SUFFIX) || name.startsWith('.')) continue
    const state = readState(join(directory, name))
    if (state === undefined || fileOf(directory, state.name) !== join(directory, name)) continue
    if (isRunning(state)) live.push(state)
    else removeStale(directory, state)
  }
  // Of one form: they sort as what they are, ASCII. A comparison by locale would load its rules.
  return live.toSorted((a, b) => (a.startedAt < b.startedAt ? -1 : Number(a.startedAt > b.startedAt)))
}

/** By name, or by the pid of the container's init or of its supervisor. */
export function findRun(directory: string, container: string): RunState {
  const runs = listRuns(directory)
  const found =
    runs.find(({name}) => name === container) ??
    runs.find(({init, supervisor}) => String(init?.pid) === container || String(supervisor.pid) === container)
  if (found !== undefined) return found
  throw new UsageError(`cannot find a running container ${JSON.stringify(container)}`, {
    hints: [
      runs.length === 0
        ? 'start one: none of yours is running'
        : `name one of those that are running: ${runs.map((run) => run.name).join(', ')}`,
    ],
  })
}

/** A run of another pid namespace can't be judged from here: it counts as running. */
function isRunning(state: RunState): boolean {
  return state.pidNamespace !== readlinkSync('/proc/self/ns/pid') || isAlive(state.supervisor)
}

/**
 * The record is moved aside before it is judged again, so that a run which took the name in the meantime keeps its
 * record.
 */
function removeStale(directory: string, seen: RunState): void {
  const file = fileOf(directory, seen.name)
  const aside = join(directory, `.${seen.name}.${randomHex(6)}`)
  try {
    renameSync(file, aside)
  } catch {
    return // another process was faster
  }
  const state = readState(aside)
  const keep = state !== undefined && isRunning(state)
  const cleared = !keep && (state?.cgroups ?? []).map(removeCgroup).every(Boolean)
  try {
    // What could not be removed yet is tried again by the next run.
    if (!cleared) linkSync(aside, file)
  } catch {
    // The name has been taken anew; that record is the one that counts.
  }
  unlinkSync(aside)
}

/** Only empty groups can be removed, so a wrong path does no harm. True when nothing is left. */
function removeCgroup(directory: string): boolean {
  if (!directory.startsWith('/sys/fs/cgroup/') || directory.split('/').includes('..')) return true
  try {
    for (const entry of readdirSync(directory, {withFileTypes: true}))
      if (entry.isDirectory()) removeCgroup(join(directory, entry.name))
    rmdirSync(directory)
    return true
  } catch (error) {
    return hasCode(error, 'ENOENT')
  }
}

function prepareDirectory(directory: string): void {
  try {
    mkdirSync(directory, {mode: 0o700})
  } catch (cause) {
    if (!hasCode(cause, 'EEXIST')) throw new LaunchError(`cannot make ${directory}`, {cause})
  }
  checkDirectory(directory)
}

/** Whoever could write here could tell root which directories to remove and which processes to join. */
function checkDirectory(directory: string): void {
  const stats = lstatSync(directory)
  const cause = !stats.isDirectory()
    ? 'it is not a directory'
    : stats.uid !== process.geteuid?.()
      ? `it belongs to user ${stats.uid}`
      : (stats.mode & 0o077) === 0
        ? undefined
        : 'other users have rights to it'
  if (cause !== undefined)
    throw new LaunchError(`cannot use ${directory}: ${cause}`, {hints: ['remove it; interceptor makes it anew']})
}

function writeTemporary(directory: string, state: RunState): string {
  const path = join(directory, `.${state.name}.${randomHex(6)}`)
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
  try {
    writeFileSync(path, `${JSON.stringify(state)}\n`, {flag: flags as unknown as string, mode: 0o600})
  } catch (cause) {
    throw new LaunchError(`cannot write ${path}`, {cause})
  }
  return path
}

/** Undefined where it is gone, or is not one of our records. */
function readState(file: string): RunState | undefined {
  let fd: number
  try {
    fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch {
    return undefined
  }
  try {
    const stats = fstatSync(fd)
    if (!stats.isFile() || stats.uid !== process.geteuid?.() || stats.size > MAX_STATE_BYTES) return undefined
    const text = Buffer.alloc(stats.size)
    const length = readSync(fd, text, 0, stats.size, 0)
    const value: unknown = JSON.parse(text.toString('utf8', 0, length))
    return isRunState(value) ? value : undefined
  } catch {
    return undefined
  } finally {
    closeSync(fd)
  }
}

function isRunState(value: unknown): value is RunState {
  if (!isRecord(value)) return false
  return (
    value['version'] === 1 &&
    typeof value['name'] === 'string' &&
    NAME_PATTERN.test(value['name']) &&
    typeof value['pidNamespace'] === 'string' &&
    isIdentity(value['supervisor']) &&
    (value['init'] === undefined || isIdentity(value['init'])) &&
    typeof value['rootless'] === 'boolean' &&
    isRecord(value['policy']) &&
    isRecord(value['control']) &&
    typeof value['startedAt'] === 'string' &&
    Array.isArray(value['cgroups']) &&
    value['cgroups'].every((entry) => typeof entry === 'string')
  )
}

function isIdentity(value: unknown): value is ProcessIdentity {
  return isRecord(value) && Number.isSafeInteger(value['pid']) && typeof value['startTime'] === 'string'
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The command name, field 2 of proc_pid_stat(5), may hold blanks and parentheses: count from the last one. */
function startTimeOf(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    // A zombie has ended; only its parent has not looked yet.
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19]
  } catch {
    return undefined
  }
}

function fileOf(directory: string, name: string): string {
  return join(directory, name + SUFFIX)
}

/** XDG_RUNTIME_DIR may still be another user's, after runuser(1) or su(1). */
function isOwnDirectory(path: string): boolean {
  try {
    const stats = lstatSync(path)
    return stats.isDirectory() && stats.uid === process.geteuid?.()
  } catch {
    return false
  }
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK)
    return true
  } catch {
    return false
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
