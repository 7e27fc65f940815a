// Which strategy would make device nodes here: the one that did in a container that was tried out.

import {cannotServe} from '../../finding.js'
import type {CheckCircumstances, Service} from '../../finding.js'
import type {MknodPolicy} from './policy.js'

export function checkNodes(_policy: MknodPolicy | undefined, {trial}: CheckCircumstances): Service {
  const {strategy, failure, hints} = trial
  if (strategy === undefined) return cannotServe(`a node could not be made: ${failure}`, ...hints)
  const isRecord = strategy === 'record'
  return {strategy, state: isRecord ? 'limited' : 'good', text: isRecord ? 'it cannot be opened' : '', advice: []}
}
