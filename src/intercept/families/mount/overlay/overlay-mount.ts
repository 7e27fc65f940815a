// Overlays with the rights of the host, so that trusted.overlay.* attributes count, over directories of the caller's.

import {
  CAP_CHOWN,
  CAP_DAC_OVERRIDE,
  CAP_DAC_READ_SEARCH,
  CAP_FOWNER,
  CAP_FSETID,
  CAP_MKNOD,
  CAP_SYS_ADMIN,
  capabilityMask,
} from '../../../../ffi/credentials.js'
import {ERRNO, SystemError, isSystemError} from '../../../../ffi/errors.js'
import {cString, closeQuietly} from '../../../../ffi/libc.js'
import {
  FSCONFIG_CMD_CREATE,
  FSCONFIG_SET_FD,
  FSCONFIG_SET_FLAG,
  FSCONFIG_SET_STRING,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOSUID,
  fsconfig,
  fsmount,
  fsopen,
} from '../../../../ffi/mount.js'
import type {Caller} from '../../../family.js'
import {MS_NOUSER, UNLOCKED_ATTRIBUTES, mountAttributes, superBlockWords} from '../flags.js'
import type {NewMount} from '../kernel-mount.js'
import {findLayers, splitLayers, unescapeLayer} from './layers.js'
import type {Layers} from './layers.js'
import {parseOptions} from '../options.js'
import type {MountOption} from '../options.js'
import type {MadeMount, Workshop} from '../private-mount-namespace.js'

const ADMIN = capabilityMask(CAP_SYS_ADMIN)
const CAP_SETFCAP = 31
/**
 * What the overlay acts with on its layers, where all of them are the container's (layers.ts). It looks at the caller's
 * own rights on the merged file first (ovl_permission() in fs/overlayfs/inode.c), but owner and mode of that are those of
 * the upper layer, which may be made up: with trusted.overlay.redirect and metacopy, or a directory of the same name, it
 * would lend the caller these rights over whatever is in a lower layer of the host's.
 */
const LAYER_CAPABILITIES = capabilityMask(
  CAP_SYS_ADMIN,
  CAP_CHOWN,
  CAP_DAC_OVERRIDE,
  CAP_DAC_READ_SEARCH,
  CAP_FOWNER,
  CAP_FSETID,
  CAP_MKNOD,
  CAP_SETFCAP,
)
/** fsconfig(2) takes strings of 256 bytes with their NUL. */
const VALUE_MAX = 255

export function mountOverlay(request: NewMount, caller: Caller, workshop: Workshop): MadeMount {
  const {source, flags, data} = request
  if ((flags & MS_NOUSER) !== 0) throw new SystemError('mount', ERRNO.EINVAL)
  const options = (data === null ? [] : parseOptions(data, 'overlay')).map((option) => {
    return {option, layers: findLayers(option, caller)}
  })
  const attributes = (mountAttributes(flags) & ~UNLOCKED_ATTRIBUTES) | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID
  const tree = caller.inPlace(() => {
    const context = caller.act(ADMIN, undefined, () => fsopen('overlay', FSOPEN_CLOEXEC))
    try {
      // Directories are looked up here, with the caller's rights alone: CAP_SYS_ADMIN opens no directory.
      const isOwn = caller.act(ADMIN, undefined, () => {
        fsconfig(context, FSCONFIG_SET_STRING, 'source', cString(source ?? Buffer.from('none')), 0)
        for (const word of superBlockWords(flags)) fsconfig(context, FSCONFIG_SET_FLAG, word, null, 0)
        let areAllOwn = true
        for (const {option, layers} of options) {
          if (layers === undefined) set(context, option)
          else if (!setLayer(context, option, layers)) areAllOwn = false
        }
        return areAllOwn
      })
      return caller.act(isOwn ? LAYER_CAPABILITIES : ADMIN, undefined, () => {
        fsconfig(context, FSCONFIG_CMD_CREATE, null, null, 0)
        return fsmount(context, FSMOUNT_CLOEXEC, attributes)
      })
    } finally {
      closeQuietly(context)
    }
  })
  return {tree: workshop.lock(tree, flags), isShifted: true}
}

/**
 * Makes the overlay of a context whose directories were named one by one, by fsconfig(2). `command`: FSCONFIG_CMD_CREATE
 * or its like. `isOwn`: all of them are the container's, see setLayer().
 */
export function createOverlay(
  context: number,
  {source, command, isOwn}: {readonly source: Buffer | null; readonly command: number; readonly isOwn: boolean},
  caller: Caller,
): void {
  caller.inPlace(() => {
    if (source !== null) {
      caller.act(ADMIN, undefined, () => fsconfig(context, FSCONFIG_SET_STRING, 'source', cString(source), 0))
    }
    caller.act(isOwn ? LAYER_CAPABILITIES : ADMIN, undefined, () => fsconfig(context, command, null, null, 0))
  })
}

/**
 * True where the container's own directories, and no others, are layers now: by descriptor (Linux 6.13), since a path
 * may lead elsewhere when the kernel looks it up once more.
 */
export function setLayer(context: number, option: MountOption, {directories, areOwn}: Layers): boolean {
  if (areOwn) {
    try {
      for (const {key, fd} of directories) fsconfig(context, FSCONFIG_SET_FD, key, null, fd)
      return true
    } catch (error) {
      if (!isSystemError(error, ERRNO.EINVAL)) throw error
    }
  }
  set(context, option)
  return false
}

function set(context: number, {key, value}: MountOption): void {
  if (value === undefined) fsconfig(context, FSCONFIG_SET_FLAG, key, null, 0)
  else if (key === 'lowerdir' && value.length > VALUE_MAX) setLayers(context, value)
  else setString(context, key, value)
}

/** One by one (Linux 6.7): together they are longer than fsconfig(2) takes. `::` begins those that hold data alone. */
function setLayers(context: number, value: string): void {
  const [layers = '', ...dataOnly] = value.split(/(?<!\\)::/)
  try {
    for (const layer of splitLayers(layers)) setString(context, 'lowerdir+', unescapeLayer(layer))
    for (const layer of dataOnly.flatMap(splitLayers)) setString(context, 'datadir+', unescapeLayer(layer))
  } catch (error) {
    // This kernel does not know the key: the value is too long for the one that it knows.
    if (isSystemError(error, ERRNO.EINVAL)) throw new SystemError('fsconfig', ERRNO.EINVAL)
    throw error
  }
}

function setString(context: number, key: string, value: string): void {
  fsconfig(context, FSCONFIG_SET_STRING, key, cString(Buffer.from(value, 'latin1')), 0)
}
