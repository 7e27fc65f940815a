// Host paths in a configuration: they begin where the file lies, and a project's file may not name others.

import {readlinkSync, realpathSync} from 'node:fs'
import {basename, dirname, isAbsolute, join, resolve} from 'node:path'

import type {Flag} from '../flag.js'
import {wrong} from './document.js'
import type {ConfigurationValues} from './schema.js'

export interface PathRules {
  readonly file: string
  /** Found in a project: what it shows the container, and what is written for it, must lie in that project. */
  readonly confined: boolean
  readonly line: (key: string) => number | undefined
}

export function resolvePaths(
  values: ConfigurationValues,
  keys: readonly Flag[],
  rules: PathRules,
): ConfigurationValues {
  const directory = dirname(rules.file)
  const absolute = (key: string, path: string): string => {
    const whole = isAbsolute(path) ? path : resolve(directory, path)
    if (rules.confined && !isBelow(whole, directory))
      throw wrong(
        rules.file,
        rules.line(key),
        `${key} names ${JSON.stringify(path)}, which is outside of ${directory}`,
        [
          'a file that is found in a project may only name what lies in the project',
          `if you trust it, name it: --config ${rules.file}`,
        ],
      )
    return whole
  }
  const result: Record<string, string | true | readonly string[]> = {...values}
  for (const flag of keys) {
    const value = values[flag.name]
    if (flag.kind === 'switch' || flag.withPath === undefined || value === undefined || value === true) continue
    const {name, withPath} = flag
    const whole = (text: string): string => withPath(text, (path) => absolute(name, path))
    result[name] = typeof value === 'string' ? whole(value) : value.map(whole)
  }
  return result
}

/** Links followed as far as the path exists; also those that lead to nothing yet, which writing would follow. */
function isBelow(path: string, directory: string): boolean {
  const [real, top] = [realpathOf(path), realpathOf(directory)]
  return real === top || real.startsWith(top === '/' ? '/' : `${top}/`)
}

function realpathOf(path: string, depth = 0): string {
  try {
    return realpathSync(path)
  } catch {
    const above = dirname(path)
    if (above === path || depth > MAX_DEPTH) return '/'
    const link = readLink(path)
    if (link !== undefined) return realpathOf(resolve(above, link), depth + 1)
    return join(realpathOf(above, depth + 1), basename(path))
  }
}

function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}

const MAX_DEPTH = 256
