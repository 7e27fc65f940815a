// What stands around this process and may keep it from making namespaces and mounts: switches of the kernel, a security
// module, an outer container. Read once, after something was refused, to name the cause.

import {existsSync, readFileSync} from 'node:fs'

import {ownPrivileges} from './privileges.js'

export interface HostRestrictions {
  /** Undefined: this kernel has no such switch. */
  readonly maxUserNamespaces: number | undefined
  readonly maxMountNamespaces: number | undefined
  readonly unprivilegedUserNamespaces: number | undefined
  readonly apparmorRestrictsUserNamespaces: number | undefined
  /** Label of the security module; undefined where there is none or we are unconfined. */
  readonly confinement: string | undefined
  readonly isFiltered: boolean
  readonly noNewPrivileges: boolean
  /** Something is mounted over parts of /proc, so that the kernel lets no user namespace mount a new one. */
  readonly isProcMasked: boolean
  readonly container: 'docker' | 'kubernetes' | 'podman' | 'unknown' | undefined
}

export function hostRestrictions(): HostRestrictions {
  const {isFiltered, noNewPrivileges} = ownPrivileges()
  const confinement = confinementOf(readText('/proc/self/attr/current') ?? '')
  const isProcMasked = masksProc(readText('/proc/self/mountinfo') ?? '')
  return {
    maxUserNamespaces: readNumber('/proc/sys/user/max_user_namespaces'),
    maxMountNamespaces: readNumber('/proc/sys/user/max_mnt_namespaces'),
    unprivilegedUserNamespaces: readNumber('/proc/sys/kernel/unprivileged_userns_clone'),
    apparmorRestrictsUserNamespaces: readNumber('/proc/sys/kernel/apparmor_restrict_unprivileged_userns'),
    confinement,
    isFiltered,
    noNewPrivileges,
    isProcMasked,
    container: containerKind(isFiltered || isProcMasked || confinement?.endsWith('(enforce)') === true),
  }
}

/** Whether a mount hides a part of /proc (mount_too_revealing() in fs/namespace.c lets empty directories be covered). */
export function masksProc(mountinfo: string): boolean {
  return mountinfo.split('\n').some((line) => {
    const target = line.split(' ')[4] ?? ''
    return target.startsWith('/proc/') && target !== '/proc/sys/fs/binfmt_misc'
  })
}

/** Of proc_pid_attr(5): `docker-default (enforce)`, `unconfined`, an SELinux context, or nothing. */
function confinementOf(text: string): string | undefined {
  const label = text.replaceAll('\0', '').trim()
  return label === '' || label === 'unconfined' || /^unconfined_u:|:unconfined_t:| \(unconfined\)$/.test(label)
    ? undefined
    : label
}

/**
 * Files and variables alone prove little: a machine may boot from what was an image. `isConfined`: nobody but a
 * container program sets a process up like this.
 */
function containerKind(isConfined: boolean): HostRestrictions['container'] {
  if (existsSync('/run/.containerenv')) return 'podman'
  if (!isConfined) return undefined
  if (process.env['KUBERNETES_SERVICE_HOST'] !== undefined) return 'kubernetes'
  return existsSync('/.dockerenv') ? 'docker' : 'unknown'
}

function readNumber(path: string): number | undefined {
  const text = readText(path)
  return text === undefined ? undefined : Number(text)
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return undefined
  }
}
