// Overlays with the rights of the host, so that trusted.overlay.* attributes count, over directories of the caller's.

import {SystemError, isSystemError} from '../../../../ffi/errors.js'
import {cString, chroot, closeQuietly, fchdir, openat} from '../../../../ffi/libc.js'
import {fsconfig, fsmount, fsopen} from '../../../../ffi/mount.js'
import {CAP, capabilityMask} from '../../../../kernel/capabilities.js'
import {AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_PATH} from '../../../../kernel/constants.js'
import {ERRNO} from '../../../../kernel/errno.js'
import {
  FSCONFIG_CMD_CREATE,
  FSCONFIG_SET_FD,
  FSCONFIG_SET_FLAG,
  FSCONFIG_SET_STRING,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOSUID,
} from '../../../../kernel/names/mount-api.js'
import {MS_NOUSER} from '../../../../kernel/names/mount.js'
import {procDirectory} from '../../../caller/proc.js'
import type {SuperBlocks} from '../../../container.js'
import type {Caller, Performed} from '../../../family.js'
import {CONTEXT_FLAG} from '../api/contexts.js'
import {UNLOCKED_ATTRIBUTES, mountAttributes, superBlockWords} from '../flags.js'
import type {MountState, NewMount} from '../state.js'
import {parseOptions} from '../options.js'
import type {MountOption} from '../options.js'
import type {MadeMount} from '../private-mount-namespace.js'
import {areOwn, layersOf} from './layers.js'
import type {Layer} from './layers.js'

const ADMIN = capabilityMask(CAP.SYS_ADMIN)
const CHROOT = capabilityMask(CAP.SYS_CHROOT)
/**
 * What the overlay acts with on its layers, where all of them are the container's (layers.ts). It looks at the caller's
 * own rights on the merged file first (ovl_permission() in fs/overlayfs/inode.c), but owner and mode of that are those of
 * the upper layer, which may be made up: with trusted.overlay.redirect and metacopy, or a directory of the same name, it
 * would lend the caller these rights over whatever is in a lower layer of the host's.
 */
const LAYER_CAPABILITIES = capabilityMask(
  CAP.SYS_ADMIN,
  CAP.CHOWN,
  CAP.DAC_OVERRIDE,
  CAP.DAC_READ_SEARCH,
  CAP.FOWNER,
  CAP.FSETID,
  CAP.MKNOD,
  CAP.SETFCAP,
)
/** fsconfig(2) takes strings of 256 bytes with their NUL. */
const VALUE_MAX = 255

/**
 * What ovl_parameter_spec[] of fs/overlayfs/params.c has beside directories, and what every file system has. Whatever
 * else an overlay takes, of a later kernel, may lead to one more directory.
 */
const HARMLESS_KEYS = new Set(
  (
    'default_permissions index metacopy nfs_export nooverride_creds override_creds redirect_dir userxattr uuid verity ' +
    'volatile xino async context defcontext dirsync fscontext lazytime mand nolazytime nomand ro rootcontext rw ' +
    'seclabel sync'
  ).split(' '),
)

/** What is to be remembered of an overlay until it is made: CONTEXT_FLAG of contexts.ts, which has its own place for it. */
export interface OverlayMarks {
  has(flag: number): boolean
  set(flag: number, on: boolean): void
}

export function mountOverlay(
  request: NewMount,
  caller: Caller,
  {privateNamespace, container}: MountState,
): (MadeMount & {readonly kind: 'made'}) | Extract<Performed, {kind: 'continue'}> {
  const {source, flags, data} = request
  if ((flags & MS_NOUSER) !== 0) throw new SystemError('mount', ERRNO.EINVAL)
  const attributes = (mountAttributes(flags) & ~UNLOCKED_ATTRIBUTES) | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID
  const options = data === null ? [] : parseOptions(data, 'overlay')
  const marks = new Marks()
  const context = caller.act(ADMIN, undefined, () => fsopen('overlay', FSOPEN_CLOEXEC))
  try {
    const overlay = new OverlayContext(context, caller, container.superBlocks, marks)
    caller.act(ADMIN, undefined, () => {
      for (const word of superBlockWords(flags)) fsconfig(context, FSCONFIG_SET_FLAG, word, null, 0)
    })
    for (const option of options) overlay.set(option)
    if (overlay.isBeyondUs) {
      return {kind: 'continue', reason: 'the kernel decides by itself about an overlay over directories of the host'}
    }
    overlay.create(source ?? Buffer.from('none'), FSCONFIG_CMD_CREATE)
    const tree = caller.act(ADMIN, undefined, () => fsmount(context, FSMOUNT_CLOEXEC, attributes))
    return {kind: 'made', tree: privateNamespace.lock(tree, flags), isShifted: true}
  } finally {
    closeQuietly(context)
  }
}

interface Directory {
  readonly key: string
  readonly fd: number
}

/** A context of fsopen(2) for an overlay that a caller is making. */
export class OverlayContext {
  readonly #fd: number
  readonly #caller: Caller
  readonly #superBlocks: SuperBlocks | undefined
  readonly #marks: OverlayMarks

  /** `fd` stays the caller's. `superBlocks`: of the container's description. */
  constructor(fd: number, caller: Caller, superBlocks: SuperBlocks | undefined, marks: OverlayMarks) {
    this.#fd = fd
    this.#caller = caller
    this.#superBlocks = superBlocks
    this.#marks = marks
  }

  /**
   * Whether an upper layer is to be written with no rights lent: ovl_workdir_create() makes a directory of mode 0, which it
   * can't use then, and an overlay would be read-only without a word.
   */
  get isBeyondUs(): boolean {
    return this.#marks.has(CONTEXT_FLAG.foreignLayer) && this.#marks.has(CONTEXT_FLAG.upperLayer)
  }

  /** Marks what an option may lead to before the kernel is asked: a call that fails leaves much behind. */
  set(option: MountOption): void {
    if (HARMLESS_KEYS.has(option.key)) {
      this.#caller.act(ADMIN, undefined, () => set(this.#fd, option))
      return
    }
    this.#untilDone(() => {
      const layers = layersOf(option)
      if (layers !== undefined) {
        this.#setLayers(option, layers)
        return
      }
      this.#marks.set(CONTEXT_FLAG.foreignLayer, true)
      this.#caller.act(0n, undefined, () => set(this.#fd, option))
    })
  }

  /** FSCONFIG_SET_FD: a directory of the caller's. EINVAL before Linux 6.13, as the kernel says. */
  setDescriptor(directory: Directory): void {
    this.#untilDone(() => {
      if (layerSupport(this.#caller) !== 'descriptors') throw new SystemError('fsconfig', ERRNO.EINVAL)
      this.#add(undefined, [directory])
    })
  }

  /**
   * Makes the overlay, with LAYER_CAPABILITIES where nothing but directories of the container may have become a layer.
   * `command`: FSCONFIG_CMD_CREATE or its like.
   */
  create(source: Buffer | null, command: number): void {
    if (this.#marks.has(CONTEXT_FLAG.failedLayer)) throw new SystemError('fsconfig', ERRNO.EINVAL)
    const capabilities = this.#marks.has(CONTEXT_FLAG.foreignLayer) ? ADMIN : LAYER_CAPABILITIES
    const [caller, fd] = [this.#caller, this.#fd]
    if (source !== null) {
      caller.act(ADMIN, undefined, () => fsconfig(fd, FSCONFIG_SET_STRING, 'source', cString(source), 0))
    }
    const make = (): void => caller.act(capabilities, undefined, () => fsconfig(fd, command, null, null, 0))
    // In the caller's mount namespace, of which the layers must be: clone_private_mount() in fs/namespace.c.
    if (layerSupport(caller) !== 'late-paths') caller.inPlace(make)
    else {
      caller.inMountNamespace(() => {
        caller.act(CHROOT, undefined, enterOwnProc)
        make()
      })
    }
  }

  /** ovl_parse_param_lowerdir() keeps the layers before the one that fails: no overlay is made of such a rest. */
  #untilDone(action: () => void): void {
    const hadFailed = this.#marks.has(CONTEXT_FLAG.failedLayer)
    this.#marks.set(CONTEXT_FLAG.failedLayer, true)
    action()
    this.#marks.set(CONTEXT_FLAG.failedLayer, hadFailed)
  }

  /** By descriptor, since a path may lead elsewhere when the kernel looks it up once more. */
  #setLayers(option: MountOption, layers: readonly Layer[]): void {
    const directories = layers.map(({key, path}) => {
      return {key, fd: this.#caller.openPath(AT_FDCWD, Buffer.from(path, 'latin1'), {follow: true})}
    })
    if (option.key === 'lowerdir') {
      // Drops what was there. The value is no path. Kernels that look paths up late take the last of them anyway.
      if (layerSupport(this.#caller) !== 'late-paths') {
        this.#caller.act(0n, undefined, () => setString(this.#fd, 'lowerdir', ''))
      }
      this.#marks.set(CONTEXT_FLAG.lowerAtOnce, false)
    }
    this.#add(option.key, directories)
    if (option.key === 'lowerdir') this.#marks.set(CONTEXT_FLAG.lowerAtOnce, layers.length > 0)
  }

  /** `option`: where they were named by one. */
  #add(option: string | undefined, directories: readonly Directory[]): void {
    const [caller, context] = [this.#caller, this.#fd]
    // ovl_mount_dir_check(): those that are named one by one can't follow those that were named together.
    if (this.#marks.has(CONTEXT_FLAG.lowerAtOnce) && directories.some(({key}) => key.endsWith('+'))) {
      throw new SystemError('fsconfig', ERRNO.EINVAL)
    }
    if (directories.some(({key}) => key === 'upperdir')) this.#marks.set(CONTEXT_FLAG.upperLayer, true)
    const fds = directories.map(({fd}) => fd)
    if (!areOwn(fds, caller, this.#superBlocks)) this.#marks.set(CONTEXT_FLAG.foreignLayer, true)
    const own = layerSupport(caller)
    if (own !== 'descriptors') {
      caller.act(0n, undefined, () => setLinks(context, option, directories, own))
      return
    }
    // In the caller's place: /proc/mounts shows the paths as they are from there.
    caller.inPlace(() =>
      caller.act(0n, undefined, () => {
        for (const {key, fd} of directories) fsconfig(context, FSCONFIG_SET_FD, key, null, fd)
      }),
    )
  }
}

/**
 * How this kernel takes layers: by descriptors (Linux 6.13), by paths that it looks up at once (6.5), or by paths that it
 * looks up when the overlay is made.
 */
export type LayerSupport = 'descriptors' | 'late-paths' | 'paths'
let support: LayerSupport | undefined

/** Tried once, where the container has no say in it. */
export function layerSupport(caller: Caller): LayerSupport {
  return (support ??= caller.act(ADMIN, undefined, () => {
    const context = fsopen('overlay', FSOPEN_CLOEXEC)
    try {
      const directory = openat(AT_FDCWD, '/proc', O_PATH | O_DIRECTORY | O_CLOEXEC, 0)
      try {
        fsconfig(context, FSCONFIG_SET_FD, 'lowerdir+', null, directory)
        return 'descriptors'
      } catch (error) {
        // SYSCALL_DEFINE5(fsconfig): nothing but strings for a file system of the old kind, no O_PATH for the others.
        if (isSystemError(error, ERRNO.EOPNOTSUPP)) return 'late-paths'
        if (isSystemError(error, ERRNO.EBADF) || isSystemError(error, ERRNO.EINVAL)) return 'paths'
        throw error
      } finally {
        closeQuietly(directory)
      }
    } finally {
      closeQuietly(context)
    }
  }))
}

/** For a lookup in the caller's mount namespace, where /proc is the container's: see setLinks(). */
function enterOwnProc(): void {
  fchdir(procDirectory())
  chroot('.')
}

/** For older kernels: links of our own /proc, which lead to the descriptors' very directories. */
function setLinks(
  context: number,
  option: string | undefined,
  directories: readonly Directory[],
  own: LayerSupport,
): void {
  const prefix = own === 'late-paths' ? '/self/fd/' : '/proc/self/fd/'
  const links = directories.map(({key, fd}) => ({key, link: `${prefix}${fd}`}))
  if (option === 'lowerdir') {
    const text = links.map(({key, link}) => (key === 'datadir+' ? `::${link}` : `:${link}`)).join('')
    if (text.length <= VALUE_MAX) {
      setString(context, option, text.slice(1))
      return
    }
  }
  // One by one (Linux 6.7) where they are together longer than fsconfig(2) takes.
  for (const {key, link} of links) setString(context, key, link)
}

function set(context: number, {key, value}: MountOption): void {
  if (value === undefined) fsconfig(context, FSCONFIG_SET_FLAG, key, null, 0)
  else setString(context, key, value)
}

function setString(context: number, key: string, value: string): void {
  fsconfig(context, FSCONFIG_SET_STRING, key, cString(Buffer.from(value, 'latin1')), 0)
}

/** For one call alone. */
class Marks implements OverlayMarks {
  #flags = 0

  has(flag: number): boolean {
    return (this.#flags & flag) !== 0
  }

  set(flag: number, on: boolean): void {
    this.#flags = on ? this.#flags | flag : this.#flags & ~flag
  }
}
