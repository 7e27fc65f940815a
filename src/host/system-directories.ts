// Directories of the host that are the system's own: no container ever writes there without being let in by name.

import {below, components} from './path-bytes.js'

/** Whole trees that hold the system: at or below them nothing may be written. */
const SYSTEM = ['/bin', '/boot', '/efi', '/etc', '/run', '/sbin', '/usr', '/nix/store', '/gnu/store', '/snap']
/** What people build in all the same. Below them only. */
const WORK = ['/usr/src', '/usr/local/src', '/run/user', '/run/media', '/run/mount']
/** Directories whose own entries belong to the system, while what is deeper may be anyone's. */
const SHARED = ['/var', '/var/cache', '/var/lib', '/var/spool', '/dev/shm']
/** Trees below /var that system services trust. */
const SERVICES = [
  '/var/backups',
  '/var/cache/apt',
  '/var/cache/debconf',
  '/var/cache/ldconfig',
  '/var/cache/man',
  '/var/db',
  '/var/empty',
  '/var/lib/alternatives',
  '/var/lib/apt',
  '/var/lib/containerd',
  '/var/lib/containers',
  '/var/lib/dbus',
  '/var/lib/docker',
  '/var/lib/dpkg',
  '/var/lib/incus',
  '/var/lib/kubelet',
  '/var/lib/libvirt',
  '/var/lib/lxc',
  '/var/lib/lxcfs',
  '/var/lib/lxd',
  '/var/lib/NetworkManager',
  '/var/lib/pam',
  '/var/lib/polkit-1',
  '/var/lib/private',
  '/var/lib/rpm',
  '/var/lib/snapd',
  '/var/lib/sudo',
  '/var/lib/systemd',
  '/var/lib/ucf',
  '/var/lock',
  '/var/log',
  '/var/mail',
  '/var/run',
  '/var/spool/at',
  '/var/spool/cron',
  '/var/spool/mail',
]

/** Whether `directory`, in normal form and without links, belongs to the system: nothing may be written there. */
export function isSystem(directory: Buffer): boolean {
  if (WORK.some((tree) => isIn(directory, tree) && !directory.equals(Buffer.from(tree)))) return false
  if (SHARED.some((path) => directory.equals(Buffer.from(path)))) return true
  if ([...SYSTEM, ...SERVICES].some((tree) => isIn(directory, tree))) return true
  // /lib, /lib32, /lib64, /libx32
  return /^lib(32|64|x32|o32)?$/.test(components(directory)[0]?.toString('latin1') ?? '')
}

/** Whether `directory` is `tree` or lies below it. */
export function isIn(directory: Buffer, tree: string): boolean {
  return below(directory, Buffer.from(tree)) !== undefined
}
