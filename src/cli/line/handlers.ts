// --handler: loads the modules, and checks that they do not answer what another flag has answered.

import {UsageError} from '../../errors.js'
import {FAMILIES} from '../../intercept/families/index.js'
import {loadHandlers} from '../../intercept/families/handler/load.js'
import type {HandlerPolicy} from '../../intercept/policy.js'
import {enabledCalls} from '../../intercept/engine/registry.js'
import type {FlagValues} from '../flags/index.js'
import {listOf} from '../flags/index.js'
import {toPolicy} from './policy.js'

export async function handlersOf(values: FlagValues): Promise<HandlerPolicy | undefined> {
  const handler = await loadHandlers(listOf(values, 'handler'))
  if (handler === undefined) return undefined
  const policy = toPolicy(values)
  const taken = new Set([true, false].flatMap((rootless) => enabledCalls(FAMILIES, policy, {rootless})).map(nameOf))
  const twice = handler.calls.find(({name}) => taken.has(name))
  if (twice === undefined) return handler
  throw new UsageError(`cannot use --handler for ${twice.name}: other flags have it answered already`, {
    hints: ['leave out one of the two'],
  })
}

const nameOf = ({name}: {readonly name: string}): string => name
