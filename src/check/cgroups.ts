// Whether limits can be set here: by making a cgroup with each of them, and removing it again.

import {withCauses} from '../causes.js'
import {createCgroup} from '../container/cgroup/index.js'
import type {CgroupOptions} from '../container/cgroup/index.js'
import type {ContainerOptions} from '../container/run-options.js'
import {findHierarchies, thisHost} from '../container/cgroup/tree.js'
import {InterceptorError} from '../errors.js'
import {good, limited, missing} from '../intercept/finding.js'
import type {Finding} from '../intercept/finding.js'

/** As the flags have them; undefined: not asked for. */
export type Limits = Pick<ContainerOptions, 'cpus' | 'memoryBytes' | 'pids'>

/** What is tried of a limit that nobody asked for. */
const TRIED = {
  memory: {memoryBytes: 256 * 1024 * 1024},
  pids: {pids: 1024},
  cpus: {cpus: 1},
} as const

type Name = keyof typeof TRIED

export function checkCgroups(rootless: boolean, limits: Limits): readonly Finding[] {
  const {v1, unified} = findHierarchies(thisHost())
  const version =
    unified === undefined ? (v1.size > 0 ? 'version 1' : 'none mounted') : v1.size > 0 ? 'version 1 and 2' : 'version 2'
  const asked = askedLimits(limits)
  const failures = (Object.keys(TRIED) as Name[]).flatMap((name) => {
    const error = tryCgroup({name: 'check', rootless, ...(asked[name] ?? TRIED[name])})
    return error === undefined ? [] : [{name, error}]
  })
  const found = limitFinding(version, asked, failures)
  if (rootless) return [found]
  const devices = tryCgroup({name: 'check', rootless})
  return [
    found,
    devices === undefined
      ? good('device rule', v1.has('devices') ? 'by the v1 devices controller' : 'by a program on a v2 cgroup')
      : missing('device rule', withCauses(devices), ...devices.hints),
  ]
}

/** Missing where one of them was asked for and can't be set; limited where nobody asked. */
function limitFinding(
  version: string,
  asked: Partial<Record<Name, unknown>>,
  failures: readonly {readonly name: Name; readonly error: InterceptorError}[],
): Finding {
  const names = Object.keys(TRIED) as Name[]
  const [first] = [...failures].sort((a, b) => Number(b.name in asked) - Number(a.name in asked))
  if (first === undefined) {
    const wanted = Object.keys(asked)
    return wanted.length === 0
      ? good('cgroups', `${version}; ${list(names)} can be had`)
      : good('cgroups', `${version}; ${list(wanted)} can be set as asked for`)
  }
  const works = names.filter((name) => !failures.some((failure) => failure.name === name))
  const text =
    `${version}; no ${failures.map(({name}) => `--${name}`).join(', ')}` +
    `${works.length > 0 ? `, but ${list(works)}` : ''}: ${withCauses(first.error)}`
  const advice = forAdministrators(first.error.hints)
  const lacking = failures.filter(({name}) => name in asked).map(({name}) => `--${name}`)
  return lacking.length === 0 ? limited('cgroups', text, ...advice) : {...missing('cgroups', text, ...advice), lacking}
}

function askedLimits({
  cpus,
  memoryBytes,
  pids,
}: Limits): Partial<Record<Name, Omit<CgroupOptions, 'name' | 'rootless'>>> {
  return {
    ...(memoryBytes !== undefined && {memory: {memoryBytes}}),
    ...(pids !== undefined && {pids: {pids}}),
    ...(cpus !== undefined && {cpus: {cpus}}),
  }
}

function list(names: readonly string[]): string {
  const flags = names.map((name) => `--${name}`)
  return flags.length < 2 ? flags.join('') : `${flags.slice(0, -1).join(', ')} and ${flags.at(-1)!}`
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
