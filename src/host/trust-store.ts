// Where the configuration files that a person trusted are listed: in the state of the user, never in a project.

import {join} from 'node:path'

/**
 * The directory of `interceptor trust`, absolute; undefined where the environment names no home. A container that could
 * write here could trust what it wrote itself: src/container/filesystem/prepare.ts lets none.
 */
export function trustStore(environment: Readonly<Record<string, string | undefined>>): string | undefined {
  const {XDG_STATE_HOME: state, HOME: home} = environment
  if (state?.startsWith('/') === true) return join(state, 'interceptor/trusted')
  return home?.startsWith('/') === true ? join(home, '.local/state/interceptor/trusted') : undefined
}
