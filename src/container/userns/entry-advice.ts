// The words for a user namespace that could not be entered, or only with one id: the cause, and what would mend it.

import {UnavailableError} from '../../errors.js'
import {SystemError} from '../../ffi/errors.js'
import {ERRNO} from '../../kernel/errno.js'
import {helperPath} from '../../native-helper.js'
import {hostRestrictions} from './host-restrictions.js'
import type {HostRestrictions} from './host-restrictions.js'
import {freeRange, readIdSources} from './idmap.js'
import type {Entry, SingleReason} from './reexecute.js'

/** Throws where the user namespace could not be entered, or is worth nothing. */
export function requireEntered(entry: Entry, read = hostRestrictions): void {
  if (entry.stage !== 'entered') throw entryFailure(entry, read())
  const restrictions = read()
  // AppArmor lets the namespace be made, but no capability be used in it: apparmor(7), Ubuntu 23.10 and later.
  if (restrictions.confinement?.includes('unprivileged_userns') === true)
    throw failure('AppArmor lets an ordinary user have no privilege in it', apparmorHints(helperPath()))
}

export function entryFailure(entry: Entry, restrictions: HostRestrictions): UnavailableError {
  const {errno, stage} = entry
  const call = new SystemError(stage === 'unshare' ? 'unshare' : 'write', errno)
  if (stage === 'unshare' && errno === ERRNO.ENOSPC) return limitFailure(restrictions)
  if (errno === ERRNO.EUSERS) return failure('they are nested too deeply, 32 levels are the most', [], call)
  if (errno === ERRNO.ENOSYS || errno === ERRNO.EINVAL)
    return failure('this kernel has none', ['use a kernel with CONFIG_USER_NS'], call)
  if (restrictions.unprivilegedUserNamespaces === 0)
    return failure('this system allows them to root alone (kernel.unprivileged_userns_clone is 0)', [
      administrator('sysctl -w kernel.unprivileged_userns_clone=1'),
    ])
  if (restrictions.apparmorRestrictsUserNamespaces === 1)
    return failure(
      'AppArmor allows them to known programs alone (kernel.apparmor_restrict_unprivileged_userns is 1)',
      apparmorHints(helperPath()),
      call,
    )
  if (stage !== 'unshare' && entry.uid === 0)
    return failure('root without CAP_SETFCAP may not map itself', ['keep CAP_SETFCAP, or start as another user'], call)
  const hints = outerContainerHints(restrictions, {isCallRefused: true})
  return failure(
    hints.length > 0 ? 'what this runs in forbids them' : 'the kernel refuses them',
    hints.length > 0 ? hints : ['where a security module or a chroot(2) forbids them, start it outside of that'],
    call,
  )
}

/**
 * Options of an outer container that are in our way, all in one line. `isCallRefused`: a system call failed with EPERM
 * or ENOSYS, so that its seccomp filter is to blame as well.
 */
export function outerContainerHints(
  restrictions: HostRestrictions,
  {isCallRefused}: {readonly isCallRefused: boolean},
): readonly string[] {
  const {container, confinement, isFiltered, isProcMasked} = restrictions
  if (container === undefined) return []
  const isSelinux = confinement?.includes(':') === true
  const needs = {
    seccomp: isFiltered && isCallRefused,
    apparmor: confinement !== undefined && !isSelinux && !confinement.startsWith('interceptor'),
    selinux: isSelinux,
    proc: isProcMasked,
  }
  if (!Object.values(needs).includes(true)) return []
  if (container === 'kubernetes') {
    const fields = [
      ...(needs.seccomp ? ['seccompProfile.type: Unconfined'] : []),
      ...(needs.apparmor ? ['appArmorProfile.type: Unconfined'] : []),
      ...(needs.selinux ? ['seLinuxOptions.type: spc_t'] : []),
      ...(needs.proc ? ['procMount: Unmasked (in a pod with hostUsers: false)'] : []),
    ]
    return [`set in the securityContext of the pod's container: ${fields.join(', ')}`]
  }
  const options = [
    ...(needs.seccomp ? ['seccomp=unconfined'] : []),
    ...(needs.apparmor ? ['apparmor=unconfined'] : []),
    ...(needs.selinux ? ['label=disable'] : []),
    ...(needs.proc ? [container === 'podman' ? 'unmask=ALL' : 'systempaths=unconfined'] : []),
  ]
  const program = container === 'podman' ? 'podman run' : 'docker run'
  return [`start the outer container with: ${program} ${options.map((each) => `--security-opt ${each}`).join(' ')}`]
}

/** Lines for the person about what was entered, without our name. */
export function entryWarnings(entry: Entry | undefined, read = hostRestrictions): readonly string[] {
  if (entry?.single === undefined) return []
  return [
    `the container has one user and one group id, so chown and setuid to others fail with EINVAL: ${singleCause(entry.single, entry, read)}`,
  ]
}

function singleCause(reason: SingleReason, {uid, gid}: Entry, read: () => HostRestrictions): string {
  const sources = readIdSources()
  const user = sources.passwd
    .split('\n')
    .find((line) => line.split(':')[2] === String(uid))
    ?.split(':')[0]
  const name = user ?? String(uid)
  if (reason === 'no-range') {
    const first = freeRange(sources)
    const range = `${first}-${first + 65_535}`
    return `${name} has no range in /etc/subuid and /etc/subgid; ${administrator(`usermod --add-subuids ${range} --add-subgids ${range} ${name}`)}`
  }
  if (reason === 'no-helper')
    return `newuidmap and newgidmap are not installed; ${administrator('apt-get install uidmap')} (elsewhere the package is shadow-utils)`
  const {container, noNewPrivileges} = read()
  if (noNewPrivileges)
    return `newuidmap can't be used under no_new_privs; start interceptor without it (docker: without --security-opt no-new-privileges)`
  if (container !== undefined)
    return 'newuidmap may not map ids inside this outer container; its root user, or root of the host, has all of them'
  return `newuidmap failed; see why: unshare -U sleep 9 & newuidmap $! 0 ${uid} 1; newgidmap $! 0 ${gid} 1`
}

function limitFailure({maxUserNamespaces, maxMountNamespaces}: HostRestrictions): UnavailableError {
  for (const [name, limit] of [
    ['user.max_user_namespaces', maxUserNamespaces],
    ['user.max_mnt_namespaces', maxMountNamespaces],
  ] as const)
    if (limit === 0) return failure(`they are switched off (${name} is 0)`, [administrator(`sysctl -w ${name}=15000`)])
  return failure('as many as user.max_user_namespaces allows exist', [
    administrator(`sysctl -w user.max_user_namespaces=${2 * (maxUserNamespaces ?? 7500)}`),
  ])
}

function failure(cause: string, hints: readonly string[], error?: SystemError): UnavailableError {
  const options = error === undefined ? {hints} : {hints, cause: error}
  return new UnavailableError(`cannot make a user namespace: ${cause}`, options)
}

/** The profile names the usual places: where this package is elsewhere, its path must be put in. */
function apparmorHints(helper: string): readonly string[] {
  const profile = helper.replace(
    /\/(?:native\/build|prebuilds\/[^/]+)\/interceptor-init$/,
    '/share/apparmor/interceptor',
  )
  const load = `cp ${profile} /etc/apparmor.d/ && apparmor_parser -r /etc/apparmor.d/interceptor`
  const isUsual = /^\/usr\/(?:local\/)?lib\/node_modules\/interceptor\//.test(helper)
  return [
    `${administrator(load)}${isUsual ? '' : `, with @{interceptor_init} = ${helper} in that file`}`,
    'or, for every program: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0',
  ]
}

function administrator(command: string): string {
  return `an administrator can run: ${command}`
}
