// Mounts that the host's kernel makes for a container, and what is done with them next.

import {SystemError} from '../../../ffi/errors.js'
import {cString, closeQuietly, openat, pread} from '../../../ffi/libc.js'
import {fsconfig, fspick, fstat, fstatfs, mount_setattr, move_mount, statx} from '../../../ffi/mount.js'
import type {Statx} from '../../../ffi/mount.js'
import {CAP, capabilityMask} from '../../../kernel/capabilities.js'
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  O_CLOEXEC,
  O_RDONLY,
  STATX_ATTR_MOUNT_ROOT,
  S_IFDIR,
  S_IFMT,
} from '../../../kernel/constants.js'
import type {Device} from '../../../kernel/device-numbers.js'
import {ERRNO} from '../../../kernel/errno.js'
import {
  FSCONFIG_CMD_RECONFIGURE,
  FSCONFIG_SET_FLAG,
  FSCONFIG_SET_STRING,
  FSPICK_CLOEXEC,
  FSPICK_EMPTY_PATH,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
} from '../../../kernel/names/mount-api.js'
import {MS_RDONLY} from '../../../kernel/names/mount.js'
import {pathOfDescriptor} from '../../caller/descriptor-path.js'
import type {OwnCapabilities} from '../../caller/own-capabilities.js'
import type {Caller, ManifestEntry, Performed} from '../../family.js'
import type {MountValues} from './decide.js'
import {plainFlags, remountAttributes, remountWords} from './flags.js'
import {attachImage} from './loop/loop-device.js'
import {DATA_MAX, dangerOf, parseOptions, withOwnOptions} from './options.js'
import type {MountOption} from './options.js'
import {mountOverlay} from './overlay/overlay-mount.js'
import type {MadeMount} from './private-mount-namespace.js'
import {openImage} from './sources/image.js'
import {needsDevice} from './sources/sources.js'
import type {MountSource} from './sources/sources.js'
import {mayLeadElsewhere, strangeDeviceOf} from './sources/super-block.js'
import type {MountState, NewMount} from './state.js'

const ADMIN = capabilityMask(CAP.SYS_ADMIN)
/** include/uapi/linux/magic.h */
const OVERLAYFS_SUPER_MAGIC = 0x794c_7630

/** A detached mount for the container, with locked flags. To be closed; or what is answered in its place. */
export function makeMount(
  request: NewMount,
  caller: Caller,
  state: MountState,
): (MadeMount & {readonly kind: 'made'}) | Extract<Performed, {kind: 'continue' | 'failed' | 'refuse'}> {
  const type = request.type.toString('latin1')
  if (type === 'overlay') return mountOverlay(request, caller, state)
  const {fsuid: uid, fsgid: gid} = caller.credentials
  const data = withOwnOptions(request.data, type, {uid, gid}, state.container)
  if (data === undefined) return invalid('an id in the options is none of the container')
  if (data !== null && data.length > DATA_MAX) {
    return invalid(`with the options that a container's ${type} must have, these are longer than ${DATA_MAX} bytes`)
  }
  const userNamespace = state.policy.shift && type !== 'hugetlbfs' ? openUserNamespace(state) : undefined
  try {
    return withSource({...request, type}, caller, state, (device) => {
      return {kind: 'made', ...state.privateNamespace.mount({...request, data, device, idmap: userNamespace})}
    })
  } finally {
    if (userNamespace !== undefined) closeQuietly(userNamespace)
  }
}

function invalid(reason: string): Extract<Performed, {kind: 'failed'}> {
  return {kind: 'failed', errno: ERRNO.EINVAL, strategy: 'kernel', reason}
}

/** Looks the source up, checks it against the policy, and runs `action` with the device that it leads to. */
export function withSource<T>(
  request: Pick<NewMount, 'flags' | 'source'> & {readonly type: string},
  caller: Caller,
  state: MountState,
  action: (device: Device | undefined) => T,
): T | Extract<Performed, {kind: 'refuse'}> {
  const {type} = request
  if (NETWORK_TYPES.has(type) && !sharesNetwork(state)) {
    const reason = `${type} would use the network of the host, which is not the container's`
    return {kind: 'refuse', errno: ERRNO.EPERM, reason}
  }
  const source = needsDevice(type) ? findSource(request.source, caller, state) : undefined
  if (source?.kind === 'refuse') return source
  const {device, release} = deviceOf(source, request, caller, state)
  try {
    const strange = device === undefined ? undefined : strangeDevice(type, device, state)
    if (strange !== undefined) return {kind: 'refuse', errno: ERRNO.EPERM, reason: strange}
    caller.assertAlive()
    const result = action(device)
    if (source?.kind === 'stand-in' && request.source !== null)
      state.sources.ofNode(request.source, caller, (fd) => state.standIns.wasMounted(fd))
    return result
  } finally {
    release()
  }
}

/** Read from the device, as the kernel will: an image begins where its loop device does. */
function strangeDevice(type: string, device: Device, {privateNamespace}: MountState): string | undefined {
  if (!mayLeadElsewhere(type)) return undefined
  const fd = privateNamespace.openDevice(device, O_RDONLY)
  try {
    return strangeDeviceOf(type, (offset, length) => {
      const bytes = Buffer.alloc(length)
      return bytes.subarray(0, pread(fd, bytes, length, offset))
    })
  } finally {
    closeQuietly(fd)
  }
}

/** A stand-in means the image that was set up on it. */
function findSource(source: Buffer | null, caller: Caller, {sources, standIns}: MountState): MountSource {
  return sources.find(source, caller, (fd) => standIns.imageOf(fd))
}

export function performNewMount(values: MountValues, type: Buffer, caller: Caller, state: MountState): Performed {
  if (values.target.length === 0) throw new SystemError('mount', ERRNO.ENOENT)
  const target = caller.openPath(AT_FDCWD, values.target, {follow: true})
  const request = {type, source: values.source, flags: plainFlags(values.flags), data: values.data}
  const made = makeMount(request, caller, state)
  if (made.kind !== 'made') return made
  const {tree, isShifted} = made
  try {
    // All that may fail comes before it: a call that fails has mounted nothing.
    const [status, created] = [fstat(tree), manifestEntry(request, target)]
    attachMount(tree, target, caller)
    state.emulated.add(status)
    return {
      kind: 'done',
      value: 0,
      strategy: 'kernel',
      created,
      ...(state.policy.shift &&
        !isShifted && {reason: `${type.toString('latin1')} is allowlisted; it can't show other ids`}),
    }
  } finally {
    closeQuietly(tree)
  }
}

/** The same file system twice in one place is EBUSY (do_add_mount() in fs/namespace.c). */
function attachMount(tree: number, target: number, caller: Caller): void {
  const [above, below] = [fstat(tree), fstat(target)]
  const isSame = above.devMajor === below.devMajor && above.devMinor === below.devMinor
  if (isSame && (below.attributes & STATX_ATTR_MOUNT_ROOT) !== 0) throw new SystemError('mount', ERRNO.EBUSY)
  // graft_tree() says so; move_mount(2) would say EINVAL.
  if (isDirectory(above) !== isDirectory(below)) throw new SystemError('mount', ERRNO.ENOTDIR)
  caller.assertAlive()
  const flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH
  caller.inMountNamespace(() => caller.act(ADMIN, undefined, () => move_mount(tree, '', target, '', flags)))
}

/** Options and flags of a mount that was made here; everything else is the kernel's to refuse or do. */
export function performRemount(values: MountValues, caller: Caller, state: MountState): Performed {
  if (values.target.length === 0) return untouched()
  let target: number
  try {
    target = caller.openPath(AT_FDCWD, values.target, {follow: true})
  } catch (error) {
    if (error instanceof SystemError) return untouched()
    throw error
  }
  const status = fstat(target)
  if (!state.emulated.has(status)) return untouched()
  if ((status.attributes & STATX_ATTR_MOUNT_ROOT) === 0) throw new SystemError('mount', ERRNO.EINVAL)
  const options = remountOptions(target, values.data)
  const danger = dangerOf(options)
  if (danger !== undefined) return {kind: 'refuse', errno: ERRNO.EPERM, reason: danger}
  const flags = plainFlags(values.flags)
  caller.assertAlive()
  reconfigure(target, [...remountWords(flags).map((key) => ({key})), ...options], state.own)
  caller.inMountNamespace(() =>
    caller.act(ADMIN, undefined, () => mount_setattr(target, '', AT_EMPTY_PATH, remountAttributes(flags))),
  )
  return {kind: 'done', value: 0, strategy: 'kernel'}
}

/** mount(8) gives back what it reads in mountinfo, where `idmapped` is a word for the mount and no option. */
function remountOptions(target: number, data: Buffer | null): readonly MountOption[] {
  // An overlay looks at none in a remount by mount(2): ovl_parse_param() in fs/overlayfs/params.c.
  if (data === null || fstatfs(target).type === OVERLAYFS_SUPER_MAGIC) return []
  return parseOptions(data, '').filter(({key}) => key !== 'idmapped')
}

function reconfigure(target: number, options: readonly MountOption[], own: OwnCapabilities): void {
  own.with(ADMIN, () => {
    const context = fspick(target, '', FSPICK_CLOEXEC | FSPICK_EMPTY_PATH)
    try {
      for (const option of options) configure(context, option)
      fsconfig(context, FSCONFIG_CMD_RECONFIGURE, null, null, 0)
    } finally {
      closeQuietly(context)
    }
  })
}

export function configure(context: number, {key, value}: MountOption): void {
  if (value === undefined) fsconfig(context, FSCONFIG_SET_FLAG, key, null, 0)
  else fsconfig(context, FSCONFIG_SET_STRING, key, cString(Buffer.from(value, 'latin1')), 0)
}

function untouched(): Performed {
  return {kind: 'continue', reason: 'it was not mounted for the container', silent: true}
}

interface MountDevice {
  readonly device: Device | undefined
  readonly release: () => void
}

/** An image gets a loop device, which the kernel keeps for as long as it is mounted. */
function deviceOf(
  source: Exclude<MountSource, {kind: 'refuse'}> | undefined,
  {flags}: Pick<NewMount, 'flags'>,
  caller: Caller,
  state: MountState,
): MountDevice {
  if (source === undefined) return {device: undefined, release: () => undefined}
  if (source.kind === 'device') return {device: source.device, release: () => undefined}
  const {own, privateNamespace} = state
  const standIn = source.kind === 'stand-in' ? source.image : undefined
  const file = standIn?.file ?? (source as Extract<MountSource, {kind: 'image'}>).file
  try {
    const readOnly = (flags & MS_RDONLY) !== 0 || standIn?.readOnly === true
    const image = openImage(file, readOnly, caller)
    try {
      const request = {
        image,
        readOnly,
        name: pathOfDescriptor(file),
        ...(standIn && {offset: standIn.offset, sizeLimit: standIn.sizeLimit}),
      }
      const {device, fd} = attachImage(request, {
        openDevice: (wanted, access) => privateNamespace.openDevice(wanted, access),
        privileged: (action) => own.with(ADMIN, action),
      })
      return {device, release: () => closeQuietly(fd)}
    } finally {
      closeQuietly(image)
    }
  } finally {
    closeQuietly(file)
  }
}

const NETWORK_TYPES = new Set(['9p', 'afs', 'ceph', 'cifs', 'gfs2', 'nfs', 'nfs4', 'ocfs2', 'orangefs', 'smb3'])

/** A mount belongs to the network of who makes it (fs_context.net_ns). */
function sharesNetwork({container}: MountState): boolean {
  const [own, other] = ['self', container.initPid].map((pid) => statx(AT_FDCWD, `/proc/${pid}/ns/net`, 0).inode)
  return own === other
}

function isDirectory({mode}: Statx): boolean {
  return (mode & S_IFMT) === S_IFDIR
}

export function openUserNamespace({container}: Pick<MountState, 'container'>): number {
  return openat(AT_FDCWD, `/proc/${container.initPid}/ns/user`, O_RDONLY | O_CLOEXEC, 0)
}

function manifestEntry({type, source, flags, data}: NewMount, target: number): ManifestEntry {
  return {
    kind: 'mount',
    path: pathOfDescriptor(target),
    strategy: 'kernel',
    type,
    source: source ?? undefined,
    flags,
    options: data ?? undefined,
  }
}
