// The rights of this process, and what around it takes some of them away.

import {readFileSync} from 'node:fs'

import {entryWarnings, outerContainerHints} from '../container/userns/entry-advice.js'
import type {HostRestrictions} from '../container/userns/host-restrictions.js'
import {readIdSources, subordinateRanges} from '../container/userns/idmap.js'
import {isPrivileged} from '../container/userns/privileges.js'
import type {Privileges} from '../container/userns/privileges.js'
import {chooseMaps} from '../container/userns/reexecute.js'
import {good, limited, missing} from '../intercept/finding.js'
import type {Finding} from '../intercept/finding.js'
import {describeCapabilities} from './capability-names.js'
import type {Trial} from './trial.js'

export function checkRights(privileges: Privileges): Finding {
  const held = describeCapabilities(privileges.capabilities)
  if (isPrivileged(privileges)) return good('rights', `root of the host, with ${held}`)
  const who = privileges.uid === 0 ? 'root, but not of the host or not with all capabilities' : `user ${privileges.uid}`
  return good('rights', `${who}, with ${held}: containers are made without privilege`)
}

export function checkNamespaces(restrictions: HostRestrictions, trial: Trial): Finding {
  const name = 'user namespaces'
  const {maxUserNamespaces, unprivilegedUserNamespaces, apparmorRestrictsUserNamespaces} = restrictions
  const switches = [
    ...(maxUserNamespaces === undefined ? [] : [`user.max_user_namespaces ${maxUserNamespaces}`]),
    ...(unprivilegedUserNamespaces === undefined
      ? []
      : [`kernel.unprivileged_userns_clone ${unprivilegedUserNamespaces}`]),
    ...(apparmorRestrictsUserNamespaces === undefined
      ? []
      : [`kernel.apparmor_restrict_unprivileged_userns ${apparmorRestrictsUserNamespaces}`]),
  ].join(', ')
  if (trial.started) return good(name, `can be made (${switches})`)
  const isTheirs = trial.failure.includes('user namespace')
  return isTheirs ? missing(name, trial.failure, ...trial.hints) : limited(name, `not tried out (${switches})`)
}

export function checkContainer(trial: Trial): Finding {
  const notes = trial.notes.filter((note) => !note.includes('one user and one group id'))
  if (trial.started) return good('container', ['one was made and ended', ...notes].join('; '))
  return missing('container', trial.failure, ...trial.hints)
}

/** Those of the container: subordinate ones, which an ordinary user needs a setuid helper to map. */
export function checkIds(privileges: Privileges, trial: Trial): Finding {
  const name = 'ids'
  const sources = readIdSources()
  if (isPrivileged(privileges)) {
    const given = subordinateRanges(sources.subuid, ['root', '0', 'interceptor'])
    return good(name, given.length > 0 ? 'a range of root in /etc/subuid' : 'a range above those of /etc/subuid')
  }
  const {uid, gid} = privileges
  const {single, helpers, uidMap} = chooseMaps(privileges, sources)
  const told = trial.notes.find((note) => note.includes('one user and one group id'))
  const words = told ?? entryWarnings(single && {stage: 'entered', errno: 0, single, uid, gid})[0]
  if (words !== undefined) {
    const at = words.lastIndexOf('; an administrator can run: ')
    return at < 0 ? limited(name, words) : limited(name, words.slice(0, at), words.slice(at + 2))
  }
  const count = uidMap.reduce((sum, extent) => sum + extent.count, 0)
  return good(name, helpers === undefined ? `${count}` : `${count}, by ${helpers[0]}`)
}

export function checkHostRestrictions(restrictions: HostRestrictions): readonly Finding[] {
  const {container, confinement, isProcMasked, noNewPrivileges} = restrictions
  const modules = readText('/sys/kernel/security/lsm')?.trim()
  const lsm =
    confinement === undefined
      ? good('security module', modules === undefined ? 'none confines us' : `none confines us (${modules})`)
      : limited('security module', `confined as ${confinement}`)
  if (container === undefined && !noNewPrivileges) return [lsm]
  const found = [
    ...(container === undefined ? [] : [`inside ${container === 'unknown' ? 'a container' : container}`]),
    ...(isProcMasked ? ['/proc is masked'] : []),
    ...(noNewPrivileges ? ['no_new_privs is set: newuidmap has no privilege'] : []),
  ]
  const hints = outerContainerHints(restrictions, {isCallRefused: false})
  return [lsm, limited('surroundings', found.join(', '), ...hints)]
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return undefined
  }
}
