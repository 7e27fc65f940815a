// Which strategy of each family would serve here, for the policy as given.

import type {Composition} from '../intercept/composition.js'
import {FAMILIES} from '../intercept/families/index.js'
import type {AnyFamily} from '../intercept/family.js'
import {cannotServe, serves} from '../intercept/finding.js'
import type {CheckCircumstances, FamilyFinding, Finding, Service} from '../intercept/finding.js'
import type {Trial} from './trial.js'

export interface Circumstances extends Omit<CheckCircumstances, 'rootless'> {
  readonly trial: Trial
}

/**
 * What families rest on, and then each of them, in the order of their names. A family that was asked for and is `missing`
 * makes the whole check fail. One without a flag is on beside the others, and has nothing to tell.
 */
export function checkFamilies(
  {families, rootless}: Composition,
  circumstances: Circumstances,
): readonly (FamilyFinding | Finding)[] {
  const checked = FAMILIES.filter(({flag}) => flag !== '').map((family) => {
    const enabled = families.find((each) => each.family === family)
    const {findings = [], ...service} = family.check?.(enabled?.policy, {...circumstances, rootless}) ?? serves()
    return {family, asked: enabled !== undefined, findings, service}
  })
  return [
    ...checked.flatMap(({findings}) => findings),
    ...checked.map(({family, asked, service}) =>
      findingOf(family, asked, circumstances.trial.started ? service : cannotServe('no container can be made')),
    ),
  ]
}

function findingOf({name, flag, strategies}: AnyFamily, asked: boolean, service: Service): FamilyFinding {
  const {strategy = strategies[0]?.name, state, text, advice} = service
  // What the family itself says of the strategy; other words where it is about what is missing.
  const summary = strategies.find((each) => each.name === strategy)?.summary
  return {
    name,
    flag,
    asked,
    strategy: strategy ?? undefined,
    state,
    text: [summary, text === '' ? undefined : text].filter((part) => part !== undefined).join('; '),
    advice,
  }
}
