// Mounts that a FUSE program of the container makes, with the caller's own rights.

import {SystemError, errnoText, isSystemError} from '../../../../ffi/errors.js'
import {closeQuietly, openat, read} from '../../../../ffi/libc.js'
import {mount_setattr} from '../../../../ffi/mount.js'
import {CAP, capabilityMask} from '../../../../kernel/capabilities.js'
import {AT_EMPTY_PATH, AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_PATH, O_RDONLY} from '../../../../kernel/constants.js'
import {ERRNO} from '../../../../kernel/errno.js'
import {MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_NOSYMFOLLOW, MS_RDONLY} from '../../../../kernel/names/mount.js'
import {pathOfDescriptor} from '../../../caller/descriptor-path.js'
import {idInside} from '../../../caller/id-map.js'
import type {ContainerDescription} from '../../../container.js'
import type {Caller, Performed} from '../../../family.js'
import type {MountValues} from '../decide.js'
import {fuseWords, mountAttributes, plainFlags} from '../flags.js'
import type {MountState} from '../state.js'
import {parseOptions} from '../options.js'
import {StartedProgram} from './spawner.js'
import type {ProgramEvent} from './spawner.js'

const STRATEGY = 'fuse'
const ADMIN = capabilityMask(CAP.SYS_ADMIN)
const SET_AGAIN = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOSYMFOLLOW
/** How often it is looked whether the mount is there. */
const TICK_MS = 20
/** A program that went to the background mounts before or a moment after that. */
const GRACE_MS = 3000
const TIMEOUT_MS = 60_000
const WORDS_SHOWN = 400
const GROUPS_MAX = 1024

/** Runs `helper SOURCE TARGET [-o OPTIONS]`, until something is mounted or the program has failed. */
export function performFuseMount(
  values: MountValues,
  type: string,
  helper: string,
  caller: Caller,
  state: MountState,
): Performed {
  const {spawner} = state.container
  if (spawner === undefined) {
    return refuse('FUSE programs are started by run alone, in its own processes')
  }
  if (values.target.length === 0) throw new SystemError('mount', ERRNO.ENOENT)
  if (values.source === null || values.source.length === 0) throw new SystemError('mount', ERRNO.EINVAL)
  const before = mountIdAt(values.target, caller)
  const source = sourceWord(values.source, caller, state)
  const options = [...fuseWords(plainFlags(values.flags)), ...optionWords(values.data, type)]
  const words = [
    Buffer.from(helper),
    source,
    plainWord(values.target),
    ...(options.length === 0 ? [] : [Buffer.from('-o'), Buffer.from(options.join(','), 'latin1')]),
  ]
  const program = start(words, spawner, caller, state.container)
  try {
    const event = untilMounted(program, () => mountIdAt(values.target, caller) !== before, caller)
    if (event !== undefined) return failed(event, helper, program.output)
    program.release()
    return finished(values, type, helper, caller, state)
  } finally {
    program.close()
  }
}

function start(
  words: readonly Buffer[],
  spawner: number,
  caller: Caller,
  {gidMap}: ContainerDescription,
): StartedProgram {
  const {uid, gid} = caller.facts
  const {bounding, noNewPrivileges} = limitsOf(caller)
  const groups = [...caller.credentials.groups].slice(0, GROUPS_MAX).map((group) => idInside(gidMap, group))
  const places = openPlaces(caller)
  try {
    caller.assertAlive()
    return new StartedProgram(spawner, {words, uid, gid, groups, bounding, noNewPrivileges, ...places})
  } catch (error) {
    if (isSystemError(error, ERRNO.EPIPE) || isSystemError(error, ERRNO.ECONNREFUSED)) {
      throw new SystemError('mount', ERRNO.EPERM)
    }
    throw error
  } finally {
    for (const fd of Object.values(places)) closeQuietly(fd)
  }
}

function openPlaces({tid}: Caller): {readonly mountNamespace: number; readonly root: number; readonly cwd: number} {
  const open = (name: string, flags: number): number => openat(AT_FDCWD, `/proc/${tid}/${name}`, flags | O_CLOEXEC, 0)
  const mountNamespace = open('ns/mnt', O_RDONLY)
  let root: number | undefined
  try {
    root = open('root', O_PATH | O_DIRECTORY)
    return {mountNamespace, root, cwd: open('cwd', O_PATH | O_DIRECTORY)}
  } catch (error) {
    closeQuietly(mountNamespace)
    if (root !== undefined) closeQuietly(root)
    throw error
  }
}

/** What an execve(2) of the caller's own could lead to at most. */
function limitsOf({tid}: Caller): {readonly bounding: bigint; readonly noNewPrivileges: boolean} {
  const text = readText(`/proc/${tid}/status`)
  const bounding = /^CapBnd:\t([0-9a-f]{1,16})$/m.exec(text)?.[1]
  return {bounding: BigInt(`0x${bounding ?? '0'}`), noNewPrivileges: !/^NoNewPrivs:\t0$/m.test(text)}
}

/** undefined when something is mounted; else what became of the program. */
function untilMounted(program: StartedProgram, isMounted: () => boolean, caller: Caller): ProgramEvent | undefined {
  const giveUp = performance.now() + TIMEOUT_MS
  for (;;) {
    const event = program.wait(TICK_MS)
    if (event?.kind === 'ended' && event.status === 0) {
      return waitFor(isMounted, GRACE_MS) ? undefined : event
    }
    if (event !== undefined) return event
    if (isMounted()) return undefined
    caller.assertAlive()
    if (performance.now() > giveUp) throw new SystemError('mount', ERRNO.ETIMEDOUT)
  }
}

function waitFor(condition: () => boolean, timeoutMs: number): boolean {
  const pause = new Int32Array(new SharedArrayBuffer(4))
  for (const end = performance.now() + timeoutMs; performance.now() < end; Atomics.wait(pause, 0, 0, TICK_MS)) {
    if (condition()) return true
  }
  return condition()
}

/** Asks nothing of the file system that is mounted there: its program need not answer yet. */
function mountIdAt(target: Buffer, caller: Caller): string {
  const fd = caller.openPath(AT_FDCWD, target, {follow: true})
  return /^mnt_id:\t(\d+)$/m.exec(readText(`/proc/thread-self/fdinfo/${fd}`))?.[1] ?? ''
}

/** A loop device of the container means its image: the stand-in holds nothing to mount. */
function sourceWord(source: Buffer, caller: Caller, {standIns, sources}: MountState): Buffer {
  const image = sources.ofNode(source, caller, (fd) => standIns.imageOf(fd))
  if (image === undefined) return plainWord(source)
  if (image.file === undefined) throw new SystemError('mount', ERRNO.EPERM)
  try {
    if (image.offset !== 0n || image.sizeLimit !== 0n) throw new SystemError('mount', ERRNO.EINVAL)
    return pathOfDescriptor(image.file)
  } finally {
    closeQuietly(image.file)
  }
}

/** Not taken for an option. */
function plainWord(path: Buffer): Buffer {
  return path[0] === 0x2d ? Buffer.concat([Buffer.from('../../../mount/'), path]) : path
}

function optionWords(data: Buffer | null, type: string): readonly string[] {
  if (data === null) return []
  return parseOptions(data, type).map(({key, value}) => (value === undefined ? key : `${key}=${value}`))
}

function failed(event: ProgramEvent, helper: string, output: Buffer): Performed {
  const failure = (errno: number, reason: string): Performed => ({kind: 'failed', errno, strategy: STRATEGY, reason})
  switch (event.kind) {
    case 'lost':
      return failure(ERRNO.EIO, `${helper} could not be started: what starts programs in the container is gone`)
    case 'not-started':
      return failure(
        event.errno === ERRNO.ENOENT ? ERRNO.ENODEV : event.errno,
        `cannot start ${helper} in the container: ${errnoText(event.errno)}`,
      )
    case 'ended': {
      const signal = event.status & 0x7f
      const status = (event.status >> 8) & 0xff
      const how =
        signal !== 0
          ? `was ended by signal ${signal}`
          : status === 0
            ? 'mounted nothing'
            : `failed with status ${status}`
      const said = lastWords(output)
      return failure(ERRNO.EIO, said === '' ? `${helper} ${how}` : `${helper} ${how}: ${said}`)
    }
    default:
      event satisfies never
      throw new Error('unknown event')
  }
}

/** In one line; the log escapes what is harmful. */
function lastWords(output: Buffer): string {
  const text = output.toString('utf8').replaceAll(/\s+/g, ' ').trim()
  return text.length <= WORDS_SHOWN ? text : `...${text.slice(-WORDS_SHOWN)}`
}

function refuse(reason: string): Performed {
  return {kind: 'refuse', errno: ERRNO.EPERM, reason}
}

/** Programs take flags for words of their own, and lose some: those of the mount itself are set once more. */
function finished(values: MountValues, type: string, helper: string, caller: Caller, state: MountState): Performed {
  const {source, data} = values
  const flags = plainFlags(values.flags)
  if (source !== null) state.sources.ofNode(source, caller, (fd) => state.standIns.wasMounted(fd))
  const target = caller.openPath(AT_FDCWD, values.target, {follow: true})
  const set = mountAttributes(flags & SET_AGAIN)
  if (set !== 0) {
    caller.inMountNamespace(() => caller.act(ADMIN, undefined, () => mount_setattr(target, '', AT_EMPTY_PATH, {set})))
  }
  const path = pathOfDescriptor(target)
  const options = data ?? undefined
  const created = {
    kind: 'mount',
    path,
    strategy: STRATEGY,
    type,
    helper,
    source: source ?? undefined,
    flags,
    options,
  } as const
  return {kind: 'done', value: 0, strategy: STRATEGY, created}
}

function readText(path: string): string {
  const fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0)
  try {
    const bytes = Buffer.alloc(16_384)
    let length = 0
    for (;;) {
      const count = read(fd, bytes.subarray(length), bytes.length - length)
      length += count
      if (count === 0 || length === bytes.length) return bytes.toString('latin1', 0, length)
    }
  } finally {
    closeQuietly(fd)
  }
}
