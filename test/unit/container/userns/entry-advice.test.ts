import assert from 'node:assert/strict'

import {ERRNO} from '../../../../src/kernel/errno.js'
import {
  entryFailure,
  entryWarnings,
  outerContainerHints,
  requireEntered,
} from '../../../../src/container/userns/entry-advice.js'
import type {Entry} from '../../../../src/container/userns/reexecute.js'
import type {HostRestrictions} from '../../../../src/container/userns/host-restrictions.js'
import {masksProc} from '../../../../src/container/userns/host-restrictions.js'

const FREE: HostRestrictions = {
  maxUserNamespaces: 96_365,
  maxMountNamespaces: 96_365,
  unprivilegedUserNamespaces: undefined,
  apparmorRestrictsUserNamespaces: undefined,
  confinement: undefined,
  isFiltered: false,
  noNewPrivileges: false,
  isProcMasked: false,
  container: undefined,
}
const ENTERED: Entry = {stage: 'entered', errno: 0, single: undefined, uid: 1000, gid: 1000}
/** A default container as each program sets it up, recorded. */
const IN_DOCKER: HostRestrictions = {
  ...FREE,
  container: 'docker',
  confinement: 'docker-default (enforce)',
  isFiltered: true,
  isProcMasked: true,
}
const IN_PODMAN: HostRestrictions = {...FREE, container: 'podman', isFiltered: true, isProcMasked: true}
const IN_KUBERNETES: HostRestrictions = {
  ...FREE,
  container: 'kubernetes',
  confinement: 'cri-containerd.apparmor.d (enforce)',
  isFiltered: true,
  isProcMasked: true,
}
/** ubuntu-24.04 of GitHub's hosted runners. */
const ON_GITHUB: HostRestrictions = {...FREE, apparmorRestrictsUserNamespaces: 1}

describe('entryFailure', () => {
  const told = (errno: number, restrictions: Partial<HostRestrictions>, entry: Partial<Entry> = {}) => {
    const {message, hints} = entryFailure({...ENTERED, stage: 'unshare', errno, ...entry}, {...FREE, ...restrictions})
    return [message, ...hints]
  }

  it('knows the switches of the kernel and of Debian', () => {
    assert.deepEqual(told(ERRNO.ENOSPC, {maxUserNamespaces: 0}), [
      'cannot make a user namespace: they are switched off (user.max_user_namespaces is 0)',
      'an administrator can run: sysctl -w user.max_user_namespaces=15000',
    ])
    assert.deepEqual(told(ERRNO.ENOSPC, {maxUserNamespaces: 10}), [
      'cannot make a user namespace: as many as user.max_user_namespaces allows exist',
      'an administrator can run: sysctl -w user.max_user_namespaces=20',
    ])
    assert.deepEqual(told(ERRNO.EPERM, {unprivilegedUserNamespaces: 0}), [
      'cannot make a user namespace: this system allows them to root alone (kernel.unprivileged_userns_clone is 0)',
      'an administrator can run: sysctl -w kernel.unprivileged_userns_clone=1',
    ])
  })

  it('knows AppArmor’s restriction of Ubuntu, and names the profile that lifts it', () => {
    for (const stage of ['unshare', 'uid-map'] as const) {
      const [message, first, second] = told(ERRNO.EPERM, ON_GITHUB, {stage})
      assert.equal(
        message,
        'cannot make a user namespace: AppArmor allows them to known programs alone (kernel.apparmor_restrict_unprivileged_userns is 1)',
      )
      assert.match(
        first ?? '',
        /^an administrator can run: cp \/.*\/share\/apparmor\/interceptor \/etc\/apparmor\.d\/ && apparmor_parser -r \/etc\/apparmor\.d\/interceptor\b/u,
      )
      assert.equal(second, 'or, for every program: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0')
    }
  })

  it('sees a namespace that was made but has no privilege', () => {
    const confinement = 'unprivileged_userns (enforce)'
    assert.throws(
      () => requireEntered(ENTERED, () => ({...ON_GITHUB, confinement})),
      /AppArmor lets an ordinary user have no privilege/u,
    )
    requireEntered(ENTERED, () => FREE)
  })

  it('names what an outer container must be started with', () => {
    assert.deepEqual(told(ERRNO.EPERM, IN_DOCKER).slice(1), [
      'start the outer container with: docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined',
    ])
    assert.deepEqual(told(ERRNO.EPERM, IN_KUBERNETES).slice(1), [
      "set in the securityContext of the pod's container: seccompProfile.type: Unconfined, appArmorProfile.type: Unconfined, procMount: Unmasked (in a pod with hostUsers: false)",
    ])
  })

  it('gives a cause where nothing is known', () => {
    for (const errno of [ERRNO.EPERM, ERRNO.EINVAL, ERRNO.EUSERS, ERRNO.ENOMEM])
      assert.match(told(errno, {})[0] ?? '', /^cannot make a user namespace: \S/u)
  })
})

describe('outerContainerHints', () => {
  it('does not blame a filter where calls worked', () => {
    assert.deepEqual(outerContainerHints(IN_PODMAN, {isCallRefused: false}), [
      'start the outer container with: podman run --security-opt unmask=ALL',
    ])
  })

  it('says nothing outside of a container, and nothing where nothing is in the way', () => {
    assert.deepEqual(outerContainerHints({...FREE, isFiltered: true}, {isCallRefused: true}), [])
    assert.deepEqual(outerContainerHints({...FREE, container: 'podman'}, {isCallRefused: true}), [])
  })

  it('knows SELinux by its label', () => {
    const confinement = 'system_u:system_r:container_t:s0:c1,c2'
    assert.deepEqual(outerContainerHints({...FREE, container: 'podman', confinement}, {isCallRefused: false}), [
      'start the outer container with: podman run --security-opt label=disable',
    ])
  })
})

describe('masksProc', () => {
  const line = (target: string) => `140 161 0:56 / ${target} ro,relatime - tmpfs tmpfs ro`

  it('is true where something hides a part of /proc', () => {
    assert.equal(masksProc(`${line('/')}\n${line('/proc')}\n${line('/proc/acpi')}\n`), true)
    assert.equal(masksProc(`${line('/proc')}\n${line('/proc/sys/fs/binfmt_misc')}\n${line('/process')}\n`), false)
  })
})

describe('entryWarnings', () => {
  it('has nothing to say where a range is mapped, or to root', () => {
    assert.deepEqual([entryWarnings(ENTERED), entryWarnings(undefined)], [[], []])
  })

  it('has one line for each reason of having one id', () => {
    const warnings = (['no-range', 'no-helper', 'helper-failed'] as const).map((single) => {
      const lines = entryWarnings({...ENTERED, single}, () => FREE)
      assert.equal(lines.length, 1)
      return lines[0]
    })
    assert.equal(new Set(warnings).size, 3)
    for (const warning of warnings)
      assert.match(warning ?? '', /^the container has one user and one group id, so .*: \S/u)
  })
})
