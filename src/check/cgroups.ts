// Whether limits can be set here: by making a cgroup with each of them, and removing it again.

import {withCauses} from '../causes.js'
import {createCgroup} from '../container/cgroup.js'
import type {CgroupOptions} from '../container/cgroup.js'
import {findHierarchies, thisHost} from '../container/cgroup-tree.js'
import {InterceptorError} from '../errors.js'
import {good, limited, missing} from './finding.js'
import type {Finding} from './finding.js'

const LIMITS = {
  memory: {memoryBytes: 256 * 1024 * 1024},
  pids: {pids: 1024},
  cpus: {cpus: 1},
} as const

export function checkCgroups(rootless: boolean): readonly Finding[] {
  const {v1, unified} = findHierarchies(thisHost())
  const version =
    unified === undefined ? (v1.size > 0 ? 'version 1' : 'none mounted') : v1.size > 0 ? 'version 1 and 2' : 'version 2'
  const failures = Object.entries(LIMITS).flatMap(([name, options]) => {
    const error = tryCgroup({name: 'check', rootless, ...options})
    return error === undefined ? [] : [{name, error}]
  })
  const [first] = failures
  const works = Object.keys(LIMITS).filter((limit) => !failures.some(({name}) => name === limit))
  const found =
    first === undefined
      ? good('cgroups', `${version}; --memory, --pids and --cpus can be had`)
      : limited(
          'cgroups',
          `${version}; no ${failures.map(({name}) => `--${name}`).join(', ')}${works.length > 0 ? `, but --${works.join(', --')}` : ''}: ${withCauses(first.error)}`,
          ...forAdministrators(first.error.hints),
        )
  if (rootless) return [found]
  const devices = tryCgroup({name: 'check', rootless})
  return [
    found,
    devices === undefined
      ? good('device rule', v1.has('devices') ? 'by the v1 devices controller' : 'by a program on a v2 cgroup')
      : missing('device rule', withCauses(devices), ...devices.hints),
  ]
}

/** Hints are written for somebody who runs something: of these, what changes the machine. */
function forAdministrators(hints: readonly string[]): readonly string[] {
  const own = hints.filter((hint) => /administrator/i.test(hint))
  return own.length > 0
    ? own.map((hint) => hint.replace(/^or have an administrator /i, 'an administrator can '))
    : hints
}

function tryCgroup(options: CgroupOptions): InterceptorError | undefined {
  try {
    createCgroup({...options, devices: []}).destroy()
    return undefined
  } catch (error) {
    if (error instanceof InterceptorError) return error
    throw error
  }
}
