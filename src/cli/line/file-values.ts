// Values of a configuration file that no flag could have either: told with the file and line. Loaded where there is one.

import {UsageError} from '../../errors.js'
import type {Flag, FlagValues} from '../../flag.js'
import {FAMILIES} from '../../intercept/families/index.js'
import {configurationKeys} from '../flags/index.js'
import {containerOptions} from './container-options.js'
import {toPolicy} from './policy.js'

/** `keys`: those of `values` that come from the file, in its order. `place`: where a key stands, for the person. */
export function checkFileValues(values: FlagValues, keys: readonly string[], place: (key: string) => string): void {
  for (const key of keys) {
    const alone = {[key]: values[key]}
    const flag = configurationKeys.find(({name}) => name === key)
    told(place(key), () => {
      if (flag !== undefined) read(flag, values[key])
      toPolicy(alone)
      containerOptions(alone)
    })
  }
  // What only together can't be.
  for (const {policy} of FAMILIES) {
    const own = keys.filter((key) => policy.flags.some(({name}) => name === key))
    const last = own.at(-1)
    if (last !== undefined) told(place(last), () => toPolicy(Object.fromEntries(own.map((key) => [key, values[key]]))))
  }
}

function read(flag: Flag, value: FlagValues[string]): void {
  if (flag.kind === 'switch' || typeof value === 'boolean' || value === undefined) return
  for (const text of typeof value === 'string' ? [value] : value) flag.parse(flag.name, text)
}

/** In a file keys have no dashes. */
function told(place: string, action: () => void): void {
  try {
    action()
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    const words = error.message.replace(/--([a-z][a-z-]*)/g, (typed, name: string) =>
      configurationKeys.some((flag) => flag.name === name) ? name : typed,
    )
    throw new UsageError(`${place}: ${words}`, {cause: error.cause, hints: error.hints})
  }
}
