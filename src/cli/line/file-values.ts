// Values of a configuration file that no flag could have either: told with the file and line. Loaded where there is one.

import {UsageError} from '../../errors.js'
import type {FlagValues} from '../flags/index.js'
import {toPolicy} from './policy.js'
import {containerOptions} from './run-line.js'

/** `keys`: those of `values` that come from the file. Each is read alone, as it will be with the others. */
export function checkFileValues(values: FlagValues, keys: readonly string[], place: (key: string) => string): void {
  for (const key of keys) {
    try {
      const alone = {[key]: values[key]}
      toPolicy(alone)
      containerOptions(alone)
    } catch (error) {
      if (!(error instanceof UsageError)) throw error
      const message = error.message.replace(/^--(?=[a-z])/, '')
      throw new UsageError(`${place(key)}: ${message}`, {cause: error.cause, hints: error.hints})
    }
  }
}
