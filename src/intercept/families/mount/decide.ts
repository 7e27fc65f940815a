// What may be mounted for a container: the pure half of index.ts.

import {CAP, capabilityMask} from '../../../kernel/capabilities.js'
import {ERRNO} from '../../../kernel/errno.js'
import {MS_REMOUNT} from '../../../kernel/names/mount.js'
import type {CallerFacts, Verdict} from '../../family.js'
import {allowedBy} from '../../hint.js'
import {isOtherOperation, plainFlags} from './flags.js'
import {dangerOf, hasOption, parseOptions} from './options.js'
import {allowed, fuse} from './policy.js'
import type {MountPolicy} from './policy.js'

const CAP_SYS_ADMIN = capabilityMask(CAP.SYS_ADMIN)

export interface MountValues {
  readonly source: Buffer | null
  readonly target: Buffer
  readonly type: Buffer | null
  readonly flags: number
  readonly data: Buffer | null
}

/** What the kernel mounts for the root of a user namespace without anybody's help (FS_USERNS_MOUNT). */
const OF_USER_NAMESPACES = new Set(
  'binfmt_misc bpf cgroup cgroup2 devpts fuse mqueue proc ramfs sysfs tmpfs'.split(' '),
)

/** Types that the kernel refuses to a user namespace with EPERM, where a flag of ours would do it. Others are its own to name. */
const OF_THE_HOST = new Set(
  (
    '9p adfs affs afs apfs bcachefs befs bfs btrfs ceph cifs configfs cramfs debugfs ecryptfs efivarfs efs erofs exfat ' +
    'ext2 ext3 ext4 f2fs fuseblk gfs2 hfs hfsplus hpfs hugetlbfs iso9660 jffs2 jfs minix msdos nfs nfs4 nilfs2 ntfs ' +
    'ntfs3 ocfs2 omfs orangefs pstore qnx4 qnx6 reiserfs romfs securityfs smb3 squashfs sysv tracefs ubifs udf ufs ' +
    'vboxsf vfat virtiofs xfs zonefs'
  ).split(' '),
)

export function decideMount(
  values: MountValues,
  facts: CallerFacts,
  policy: MountPolicy,
  options: {readonly rootless: boolean},
): Verdict {
  const flags = plainFlags(values.flags)
  if (isOtherOperation(flags))
    return {kind: 'continue', reason: "what is mounted already is the kernel's to move", silent: true}
  if (!facts.inContainerUserNamespace) {
    return {kind: 'continue', reason: 'the caller is in a user namespace of its own'}
  }
  const isAble = (facts.effective & CAP_SYS_ADMIN) !== 0n
  if ((flags & MS_REMOUNT) !== 0) {
    if (!isAble) return {kind: 'continue', reason: 'the caller lacks CAP_SYS_ADMIN', silent: true}
    return {kind: 'perform', reason: 'it was mounted for the container'}
  }
  return decideNewMount(values.type?.toString('latin1'), values.data, isAble, policy, options)
}

/** Also for the new mount calls, which name the same things one after the other. */
export function decideNewMount(
  type: string | undefined,
  data: Buffer | null,
  isAble: boolean,
  policy: MountPolicy,
  {rootless}: {readonly rootless: boolean},
): Verdict {
  if (type === undefined) return {kind: 'continue', reason: 'no type of file system is named'}
  const helper = fuseHelper(type, policy)
  if (helper !== undefined) {
    return isAble ? {kind: 'perform', reason: `${type} is mounted with ${helper}`} : notAble()
  }
  if (!policy.allowed.includes(type)) return decideUnlisted(type)
  if (OF_USER_NAMESPACES.has(type)) return native(type)
  const parsed = data === null ? [] : parseOptions(data, type)
  // With it an overlay is a user namespace's own, and keeps its marks in user.* attributes.
  if (type === 'overlay' && (rootless || hasOption(parsed, 'userxattr'))) return native(type)
  if (!isAble) return notAble()
  if (rootless) {
    return {
      kind: 'refuse',
      errno: ERRNO.EPERM,
      reason: `only root of the host can mount ${type}; a FUSE program could serve it here`,
      hint: allowedBy(fuse, `${type}=${KNOWN_HELPERS[type] ?? 'HELPER'}`),
    }
  }
  const danger = dangerOf(parsed)
  if (danger !== undefined) return {kind: 'refuse', errno: ERRNO.EPERM, reason: danger}
  return {kind: 'perform', reason: `${type} is allowlisted`}
}

/** The program that mounts this type instead of the kernel. */
export function fuseHelper(type: string, policy: MountPolicy): string | undefined {
  return Object.hasOwn(policy.fuse, type) ? policy.fuse[type] : undefined
}

const KNOWN_HELPERS: Readonly<Record<string, string>> = {
  ext2: 'fuse2fs',
  ext3: 'fuse2fs',
  ext4: 'fuse2fs',
  squashfs: 'squashfuse',
  erofs: 'erofsfuse',
  iso9660: 'fuseiso',
  ntfs: 'ntfs-3g',
  ntfs3: 'ntfs-3g',
}

function decideUnlisted(type: string): Verdict {
  if (!OF_THE_HOST.has(type)) return native(type)
  return {
    kind: 'refuse',
    errno: ERRNO.EPERM,
    reason: `${type} is not allowlisted`,
    hint: allowedBy(allowed, type),
  }
}

function native(type: string): Verdict {
  const name = /^[\w.-]{1,32}$/.test(type) ? type : 'this type'
  return {kind: 'continue', reason: `the kernel decides about ${name} by itself`}
}

function notAble(): Verdict {
  return {kind: 'refuse', errno: ERRNO.EPERM, reason: 'the caller lacks CAP_SYS_ADMIN'}
}

/** Whether a descriptor is of a loop device of the container is not to be seen here. */
export function decideLoop(facts: CallerFacts): Verdict {
  if (!facts.inContainerUserNamespace) {
    return {kind: 'refuse', errno: ERRNO.EPERM, reason: 'the caller is in a user namespace of its own'}
  }
  return {kind: 'perform', reason: 'whether the image may be mounted is decided when it is'}
}
