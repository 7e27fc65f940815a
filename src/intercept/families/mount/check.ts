// Who would mount here what a policy names: the kernel, or programs in the container.

import {existsSync} from 'node:fs'

import {knownFileSystems, presenceOf, thisKernel} from '../../../host/kernel-modules.js'
import {canOpen, isProgram} from '../../../host/programs.js'
import {nearest} from '../../../nearest.js'
import type {FamilyOptions} from '../../family.js'
import {ONLY_ROOT, cannotServe, good, limited, missing, serves} from '../../finding.js'
import type {CheckCircumstances, Finding, Service, Unsupported} from '../../finding.js'
import {isFlagHint, wordsOf} from '../../hint.js'
import {decideNewMount} from './decide.js'
import type {MountPolicy} from './policy.js'

const NOTHING: MountPolicy = {allowed: [], fuse: {}, shift: false, sources: []}

export function unsupportedMounts(
  policy: MountPolicy,
  {rootless}: FamilyOptions,
  places = thisKernel(),
): readonly Unsupported[] {
  return [...(rootless ? withoutRoot(policy) : []), ...absent(policy.allowed, places)]
}

export function checkMounts(policy: MountPolicy = NOTHING, {rootless}: CheckCircumstances): Service {
  const {allowed, fuse, sources} = policy
  const findings = [checkFuse(fuse), ...checkFileSystems(allowed)]
  const failure = findings.find(({state}) => state === 'missing')
  if (failure !== undefined) return {...cannotServe(failure.text, ...failure.advice), findings}
  const [denied] = rootless ? withoutRoot(policy) : []
  if (denied !== undefined) return {...cannotServe(denied.text, ...denied.advice), findings}
  if (Object.keys(fuse).length > 0 && allowed.length === 0)
    return {...serves('fuse', 'by programs in the container'), findings}
  if (rootless) {
    const text = 'what --mount-fuse names, and what the kernel allows by itself'
    return {strategy: null, state: 'limited', text, advice: [], findings}
  }
  if (sources.length > 0 && !canOpen('/dev/loop-control'))
    return {...cannotServe("/dev/loop-control can't be opened", 'an administrator can run: modprobe loop'), findings}
  return {...serves('kernel'), findings}
}

/** What an ordinary user's container never gets. */
function withoutRoot(policy: MountPolicy): readonly Unsupported[] {
  const refused = policy.allowed.flatMap((type) => {
    const verdict = decideNewMount(type, null, true, policy, {rootless: true})
    return verdict.kind === 'refuse' ? [{type, hint: verdict.hint}] : []
  })
  if (refused.length === 0) return []
  const types = refused.map(({type}) => type)
  const instead = refused.flatMap(({hint}) => (hint !== undefined && isFlagHint(hint) ? wordsOf(hint) : []))
  return [
    {
      flags: `--mount-allowed ${types.join(',')}`,
      text: `an ordinary user can't have ${types.join(', ')} mounted by the kernel`,
      advice: [ONLY_ROOT, ...(instead.length === 0 ? [] : [`or use ${instead.join(' ')}`])],
    },
  ]
}

/** File systems that this kernel does not have and can't load. */
function absent(allowed: readonly string[], places = thisKernel()): readonly Unsupported[] {
  const types = allowed.filter((type) => presenceOf(type, places) === 'absent')
  if (types.length === 0) return []
  const meant = types.length === 1 ? nearest(types[0]!, knownFileSystems(places)) : undefined
  const advice = meant === undefined ? 'use a kernel with it, or --mount-fuse' : `did you mean ${meant}?`
  return [
    {flags: `--mount-allowed ${types.join(',')}`, text: `this kernel has no ${types.join(', ')}`, advice: [advice]},
  ]
}

/** /dev/fuse, and the programs that the policy hands mounts to. */
function checkFuse(helpers: MountPolicy['fuse']): Finding {
  const name = 'FUSE'
  const lacking = [...new Set(Object.values(helpers))].filter((program) => !isProgram(program)).join(', ')
  if (lacking !== '') return missing(name, `${lacking} not found on PATH`, `an administrator can install ${lacking}`)
  const named = Object.entries(helpers).map(([type, program]) => `${type} by ${program}`)
  if (canOpen('/dev/fuse')) return good(name, named.length === 0 ? '/dev/fuse can be opened' : named.join(', '))
  const text = "/dev/fuse can't be opened"
  const advice = `an administrator can run: ${existsSync('/dev/fuse') ? 'chmod 666 /dev/fuse' : 'modprobe fuse'}`
  return named.length > 0 ? missing(name, text, advice) : limited(name, text, advice)
}

/** Types that the policy lets the kernel mount: known already, or a module is there for them. */
function checkFileSystems(allowed: readonly string[]): readonly Finding[] {
  const name = 'file systems'
  const [lacking] = absent(allowed)
  if (lacking !== undefined) return [missing(name, lacking.text, ...lacking.advice)]
  const unknown = allowed.filter((type) => presenceOf(type) === 'unknown').join(', ')
  if (unknown !== '')
    return [limited(name, `this kernel may have to load ${unknown}, and its modules are not to be seen here`)]
  return allowed.length === 0 ? [] : [good(name, allowed.join(', '))]
}
