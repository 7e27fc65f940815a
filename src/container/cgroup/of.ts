// The cgroups of a container that runs already: for exec, and for containers that somebody else made.

import {basename, dirname} from 'node:path'

import {LaunchError} from '../../errors.js'
import {SystemError} from '../../ffi/errors.js'
import type {CgroupDescription} from '../../intercept/container.js'
import type {CgroupHost, CgroupPlace} from './tree.js'
import {findHierarchies, readCgroupFile, thisHost, words, writeCgroupFile} from './tree.js'
import {describeV2} from './v2.js'

/** `interceptor-NAME.PID-STARTTIME`, of the supervisor that made it. */
export const MADE_BY_US = /^interceptor-.+\.([0-9]+)-([0-9]+)$/

/** What the supervisor may know of the cgroups that `pid` is in. */
export function describeCgroup(pid: number, host: CgroupHost = thisHost()): CgroupDescription {
  const {v1, unified} = findHierarchies(host, pid)
  const span = (name: string) => {
    const place = v1.get(name)
    return place === undefined ? {} : {[name]: {top: place.mountPoint, own: place.own}}
  }
  // The controllers that the cgroup above handed on: only these have files here.
  const given = words(readCgroupFile(`${unified?.own ?? ''}/cgroup.controllers`))
  return {
    ...(unified === undefined ? {} : describeV2(unified, unified.own, unified.own, given)),
    ...span('memory'),
    ...span('pids'),
    ...span('cpu'),
    version: v1.has('memory') ? 1 : 2,
  }
}

/**
 * Moves `pid` into the cgroups that interceptor made for the container of `init`, wherever below them `init` is, and
 * tells which: none where it has none.
 */
export function joinCgroupOf(init: number, pid: number, host: CgroupHost = thisHost()): readonly string[] {
  const {v1, unified} = findHierarchies(host, init)
  const places = [...v1.values(), ...(unified === undefined ? [] : [unified])]
  const directories = [...new Set(places.filter(isBelowOurs).map(({own}) => own))]
  for (const directory of directories) {
    try {
      writeCgroupFile(`${directory}/cgroup.procs`, String(pid))
    } catch (error) {
      const errno = error instanceof Error && 'errno' in error ? Math.abs(Number(error.errno)) : 5
      const cause = new SystemError('write', errno)
      // Moving a process needs rights to what both cgroups have in common (cgroups(7), "Delegation containment").
      const hints = ['EACCES', 'EPERM'].includes(cause.code)
        ? ['start it where the same user manager has delegated: systemd-run --user --scope interceptor exec ...']
        : []
      throw new LaunchError(`cannot join the cgroup ${directory}`, {cause, hints})
    }
  }
  return directories
}

function isBelowOurs({own, mountPoint}: CgroupPlace): boolean {
  for (let at = own; at.startsWith(`${mountPoint}/`); at = dirname(at)) {
    if (MADE_BY_US.test(basename(at))) return true
  }
  return false
}
