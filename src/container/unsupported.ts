// What a policy asks for that can not work here, whatever the container does: check tells all of it, run in one line.

import type {BpfPolicy} from '../intercept/families/bpf/policy.js'
import type {ModulePolicy} from '../intercept/families/modules/policy.js'
import type {MountPolicy} from '../intercept/families/mount/policy.js'
import type {Policy} from '../intercept/policy.js'
import {decideNewMount} from '../intercept/families/mount/decide.js'
import {nearest} from '../nearest.js'
import {knownFileSystems, presenceOf, thisKernel} from './kernel-modules.js'

/** The parts of a policy that can ask for it. */
export interface Parts {
  readonly bpf?: BpfPolicy
  readonly modules?: ModulePolicy
  readonly mount?: MountPolicy
}

export interface Impossible {
  readonly family: keyof Parts
  /** The flags that ask for it, as they are typed. */
  readonly flags: string
  readonly text: string
  readonly advice: readonly string[]
}

export const AS_ROOT = 'start interceptor as root of the host'

/** What an ordinary user's container never gets. */
export function withoutRoot({bpf, modules, mount}: Parts): readonly Impossible[] {
  const refused = (mount?.allowed ?? []).flatMap((type) => {
    const verdict = decideNewMount(type, null, true, mount!, {rootless: true})
    return verdict.kind === 'refuse' ? [{type, instead: /^--mount-fuse \S+/.exec(verdict.hint ?? '')?.[0]}] : []
  })
  const types = refused.map(({type}) => type)
  const instead = refused.flatMap((each) => each.instead ?? []).join(' ')
  return [
    ...(bpf?.devices === true
      ? [impossible('bpf', '--bpf-devices', 'only root of the host can load device programs', AS_ROOT)]
      : []),
    ...(modules === undefined
      ? []
      : [
          impossible(
            'modules',
            `--finit-module ${modules.names.join(',')}`,
            'only root of the host can load modules',
            AS_ROOT,
          ),
        ]),
    ...(types.length === 0
      ? []
      : [
          impossible(
            'mount',
            `--mount-allowed ${types.join(',')}`,
            `an ordinary user can't have ${types.join(', ')} mounted by the kernel`,
            AS_ROOT,
            ...(instead === '' ? [] : [`or use ${instead}`]),
          ),
        ]),
  ]
}

/** File systems that this kernel does not have and can't load. */
export function absentFileSystems({mount}: Parts, places = thisKernel()): readonly Impossible[] {
  const types = (mount?.allowed ?? []).filter((type) => presenceOf(type, places) === 'absent')
  if (types.length === 0) return []
  const meant = types.length === 1 ? nearest(types[0]!, knownFileSystems(places)) : undefined
  const advice = meant === undefined ? 'use a kernel with it, or --mount-fuse' : `did you mean ${meant}?`
  return [impossible('mount', `--mount-allowed ${types.join(',')}`, `this kernel has no ${types.join(', ')}`, advice)]
}

/** One line for run, or none. Only what is certain: a run that never comes to these calls is a good one. */
export function impossibilityNotes(policy: Policy, rootless: boolean, places = thisKernel()): readonly string[] {
  const found = [...(rootless ? withoutRoot(policy) : []), ...absentFileSystems(policy, places)]
  if (found.length === 0) return []
  const told = [...new Map(found.map((each) => [each.flags, each])).values()]
  const why = told.map(({flags, text}) => `${flags} can not work here: ${text}`).join('; ')
  return [`${why}; for more: interceptor check ${told.map(({flags}) => flags).join(' ')}`]
}

function impossible(family: keyof Parts, flags: string, text: string, ...advice: readonly string[]): Impossible {
  return {family, flags, text, advice}
}
