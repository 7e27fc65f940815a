// Performs fsopen, fsconfig and fspick: the supervisor holds the context, checks what it is told, and mounts as for mount(2).

import {SystemError, isSystemError} from '../../../../ffi/errors.js'
import {cString, closeQuietly} from '../../../../ffi/libc.js'
import {fsconfig, fsopen, fspick, fstat, fstatfs} from '../../../../ffi/mount.js'
import {CAP, capabilityMask} from '../../../../kernel/capabilities.js'
import {NEWLINE} from '../../../../kernel/constants.js'
import {ERRNO} from '../../../../kernel/errno.js'
import {
  FSCONFIG_CMD_CREATE,
  FSCONFIG_CMD_CREATE_EXCL,
  FSCONFIG_SET_FD,
  FSCONFIG_SET_FLAG,
  FSCONFIG_SET_PATH,
  FSCONFIG_SET_STRING,
  FSOPEN_CLOEXEC,
  FSPICK_CLOEXEC,
  FSPICK_EMPTY_PATH,
} from '../../../../kernel/names/mount-api.js'
import {MS_RDONLY} from '../../../../kernel/names/mount.js'
import {escapeBytes} from '../../../caller/escape.js'
import {isUnread} from '../../../caller/tolerant.js'
import type {Caller, Performed} from '../../../family.js'
import {fuseHelper} from '../decide.js'
import {withSource} from '../kernel-mount.js'
import type {MountState} from '../state.js'
import {dangerOf, hugetlbValue, ownOptions} from '../options.js'
import {layersOf} from '../overlay/layers.js'
import {OverlayContext, layerSupport} from '../overlay/overlay-mount.js'
import type {ConfigText} from './context-arguments.js'
import {CONTEXT_FLAG} from './contexts.js'
import type {FsContext} from './contexts.js'
import {NOT_OURS, isAble} from './decide.js'
import type {FsconfigValues} from './decide.js'

const ADMIN = capabilityMask(CAP.SYS_ADMIN)
export const STRATEGY = 'kernel'
const SYMLINK_NOFOLLOW = 2
/** ST_NOSUID and ST_NODEV of statvfs(3). */
const LOCKED = 6
const SHOWN_MESSAGE_MAX = 160

export function performFsopen(
  values: {readonly type: ConfigText; readonly flags: number},
  caller: Caller,
  state: MountState,
): Performed {
  const type = textOf(values.type)
  const helper = fuseHelper(type, state.policy)
  if (helper !== undefined) {
    const reason = `${helper} mounts ${type}, and can be asked by mount(2) alone`
    return {kind: 'failed', errno: ERRNO.ENOSYS, strategy: 'fuse', reason}
  }
  if (type === 'overlay' && layerSupport(caller) === 'late-paths') {
    const reason = 'overlays of this kernel keep no directories until they are made; mount(2) can make one'
    return {kind: 'failed', errno: ERRNO.ENOSYS, strategy: STRATEGY, reason}
  }
  const open = (): number => fsopen(type, FSOPEN_CLOEXEC)
  // An overlay acts on its layers as who made it.
  const context = type === 'overlay' ? caller.act(ADMIN, undefined, open) : state.own.with(ADMIN, open)
  try {
    addOptions(context, type, caller, state)
  } catch (error) {
    closeQuietly(context)
    throw error
  }
  return standIn(context, state.policy.allowed.indexOf(type), (values.flags & FSOPEN_CLOEXEC) !== 0, state)
}

export function performFspick(
  values: {readonly dirfd: number; readonly path: ConfigText; readonly flags: number},
  caller: Caller,
  state: MountState,
): Performed {
  const {dirfd, path, flags} = values
  if (path === null || isUnread(path)) return NOT_OURS
  let target: number
  try {
    target = caller.openPath(dirfd, path, {follow: (flags & SYMLINK_NOFOLLOW) === 0})
  } catch (error) {
    // Whatever it is, the kernel says it too.
    if (isSystemError(error)) return NOT_OURS
    throw error
  }
  // A device number may come again, but what was mounted here is locked like this.
  if (!state.emulated.has(fstat(target)) || (fstatfs(target).flags & LOCKED) !== LOCKED) return NOT_OURS
  caller.assertAlive()
  const context = state.own.with(ADMIN, () => fspick(target, '', FSPICK_CLOEXEC | FSPICK_EMPTY_PATH))
  return standIn(context, undefined, (flags & FSPICK_CLOEXEC) !== 0, state)
}

/** Those of ours come first: what the caller says of the same later counts. */
function addOptions(context: number, type: string, caller: Caller, {own}: MountState): void {
  const {fsuid: uid, fsgid: gid} = caller.credentials
  own.with(ADMIN, () => {
    for (const {key, value} of ownOptions(type, {uid, gid})) {
      fsconfig(context, FSCONFIG_SET_STRING, key, cString(value), 0)
    }
  })
}

function standIn(context: number, type: number | undefined, closeOnExec: boolean, {contexts}: MountState): Performed {
  return {kind: 'descriptor', fd: contexts.add({context, type}), closeOnExec, strategy: STRATEGY}
}

export function performFsconfig(values: FsconfigValues, caller: Caller, state: MountState): Performed {
  const context = state.contexts.find(caller, values.fd)
  if (context?.isContext !== true) return NOT_OURS
  return replay(context, state, () => {
    switch (values.cmd) {
      case FSCONFIG_SET_FLAG:
      case FSCONFIG_SET_STRING:
        return setOption(context, values, caller, state)
      case FSCONFIG_SET_FD:
        return setDescriptor(context, values, caller, state)
      default:
        return values.cmd >= FSCONFIG_CMD_CREATE
          ? command(context, values.cmd, caller, state)
          : setOther(context, values, caller, state)
    }
  })
}

/** Errors are the kernel's, and so are the words for them, which the caller may read from its stand-in. */
export function replay(context: FsContext, {contexts}: MountState, action: () => Performed): Performed {
  return contexts.using(context, () => {
    try {
      const performed = action()
      context.passMessages()
      return performed
    } catch (error) {
      if (!(error instanceof SystemError)) throw error
      const [message] = context.passMessages()
      const reason = message === undefined ? {} : {reason: shownMessage(message)}
      return {kind: 'failed', errno: error.errno, strategy: STRATEGY, ...reason}
    }
  })
}

function setOption(
  context: FsContext,
  {cmd, key, value}: FsconfigValues,
  caller: Caller,
  state: MountState,
): Performed {
  const name = textOf(key)
  const given = cmd === FSCONFIG_SET_FLAG ? undefined : textOf(value as ConfigText)
  // Part of a value for file systems that still get their options as one string (legacy_parse_param()).
  if (/[=,]/.test(name))
    return {kind: 'failed', errno: ERRNO.EINVAL, strategy: STRATEGY, reason: 'no option has such a name'}
  const option = given === undefined ? {key: name} : {key: name, value: given}
  const danger = dangerOf([option])
  if (danger !== undefined) return {kind: 'refuse', errno: ERRNO.EPERM, reason: danger}
  const type = typeOf(context, state)
  // Copied from /proc/mounts by mount(8) for a remount, where it tells of the mount and is no option of the file system.
  if (type === undefined && name === 'idmapped' && given === undefined) return done(context, state)
  if (name === 'source' && type !== undefined) return setSource(context, given, state)
  if (type === 'overlay') {
    overlayContext(context, caller, state).set(option)
    return done(context, state)
  }
  // ovl_parse_param(): an overlay that is mounted has its directories for good.
  if (type === undefined && layersOf(option) !== undefined) return noSuchKind(type)
  const text = type === 'hugetlbfs' && given !== undefined ? hugetlbValue(name, given, state.container) : given
  if (given !== undefined && text === undefined) {
    return {kind: 'failed', errno: ERRNO.EINVAL, strategy: STRATEGY, reason: 'this is no id of the container'}
  }
  state.own.with(ADMIN, () => {
    if (text === undefined) fsconfig(context.fd, FSCONFIG_SET_FLAG, name, null, 0)
    else fsconfig(context.fd, FSCONFIG_SET_STRING, name, latin1(text), 0)
  })
  if (name === 'ro' || name === 'rw') context.set(CONTEXT_FLAG.readOnly, name === 'ro')
  return done(context, state)
}

function overlayContext(context: FsContext, caller: Caller, {container}: MountState): OverlayContext {
  return new OverlayContext(context.fd, caller, container.superBlocks, context)
}

function makeOverlay(context: FsContext, command: number, caller: Caller, state: MountState): Performed {
  const overlay = overlayContext(context, caller, state)
  const failed = (errno: number, reason: string): Performed => ({kind: 'failed', errno, strategy: STRATEGY, reason})
  if (context.has(CONTEXT_FLAG.failedLayer)) {
    return failed(ERRNO.EINVAL, 'a directory that was named before could not be used')
  }
  if (overlay.isBeyondUs) {
    return failed(
      ERRNO.EACCES,
      'over directories of the host a writable overlay is for the kernel to make, by mount(2)',
    )
  }
  overlay.create(context.source, command)
  return done(context, state)
}

/** Kept until the file system is made, when it is looked up and checked: vfs_parse_fs_param_source(). */
function setSource(context: FsContext, given: string | undefined, state: MountState): Performed {
  if (given === undefined || context.source !== null) {
    const reason = given === undefined ? 'a source is text' : 'a source was named already'
    return {kind: 'failed', errno: ERRNO.EINVAL, strategy: STRATEGY, reason}
  }
  context.source = Buffer.from(given, 'latin1')
  return done(context, state)
}

/** Layers of an overlay (Linux 6.13); no other file system that gets here takes a descriptor. */
function setDescriptor(context: FsContext, {key, aux}: FsconfigValues, caller: Caller, state: MountState): Performed {
  const name = textOf(key)
  const fd = caller.openDescriptor(aux)
  const type = typeOf(context, state)
  if (type !== 'overlay') return noSuchKind(type)
  overlayContext(context, caller, state).setDescriptor({key: name, fd})
  return done(context, state)
}

/** Bytes and paths, which no file system that gets here takes: only what the kernel would look at first. */
function setOther(
  context: FsContext,
  {cmd, key, value, aux}: FsconfigValues,
  caller: Caller,
  state: MountState,
): Performed {
  textOf(key)
  if (typeof value === 'number') caller.memory.bytes(value, aux)
  else if (textOf(value) === '' && cmd === FSCONFIG_SET_PATH) throw new SystemError('fsconfig', ERRNO.ENOENT)
  return noSuchKind(typeOf(context, state))
}

function noSuchKind(type: string | undefined): Performed {
  const reason = `${type ?? 'this file system'} has no option of this kind`
  return {kind: 'failed', errno: ERRNO.EINVAL, strategy: STRATEGY, reason}
}

function command(context: FsContext, cmd: number, caller: Caller, state: MountState): Performed {
  if (!isAble(caller.facts)) return notAble()
  const type = typeOf(context, state)
  if (type === undefined || (cmd !== FSCONFIG_CMD_CREATE && cmd !== FSCONFIG_CMD_CREATE_EXCL)) {
    caller.assertAlive()
    state.own.with(ADMIN, () => fsconfig(context.fd, cmd, null, null, 0))
    return done(context, state)
  }
  return create(context, type, cmd, caller, state)
}

function create(context: FsContext, type: string, cmd: number, caller: Caller, state: MountState): Performed {
  const source = context.source
  if (type === 'overlay') return makeOverlay(context, cmd, caller, state)
  const flags = context.has(CONTEXT_FLAG.readOnly) ? MS_RDONLY : 0
  return withSource({type, source, flags}, caller, state, (device) => {
    state.privateNamespace.create({context: context.fd, source, device, command: cmd})
    return done(context, state)
  })
}

export function typeOf({type}: FsContext, {policy}: MountState): string | undefined {
  return type === undefined ? undefined : policy.allowed[type]
}

function done(context: FsContext, state: MountState): Performed {
  const type = typeOf(context, state)
  const reason = type === undefined ? 'it was mounted for the container' : `${type} is allowlisted`
  return {kind: 'done', value: 0, strategy: STRATEGY, reason}
}

export function notAble(): Performed {
  return {kind: 'refuse', errno: ERRNO.EPERM, reason: 'the caller lacks CAP_SYS_ADMIN'}
}

/** Bytes as latin1. What the caller's memory did not give fails the call only now, when it is known to be ours. */
function textOf(text: ConfigText): string {
  if (text === null) throw new Error('decided without its text')
  if (isUnread(text)) throw new SystemError('fsconfig', text.errno)
  return text.toString('latin1')
}

function latin1(text: string): Buffer {
  return cString(Buffer.from(text, 'latin1'))
}

/** `e ext4: Unknown parameter 'x'`: the level and what follows. */
function shownMessage(message: Buffer): string {
  const text = message.subarray(message[1] === 0x20 ? 2 : 0)
  return escapeBytes(text.subarray(0, SHOWN_MESSAGE_MAX).subarray(0, text.at(-1) === NEWLINE ? -1 : undefined))
}
