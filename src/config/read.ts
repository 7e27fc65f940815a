// Reads and checks one configuration file that may be used. Loaded only where there is one: YAML and schemas take time.

import {closeSync, constants, openSync} from 'node:fs'
import {basename} from 'node:path'
import {fileURLToPath} from 'node:url'

import {cosmiconfigSync} from 'cosmiconfig'

import {UsageError} from '../errors.js'
import type {Flag} from '../flag.js'
import {O_PATH} from '../kernel/constants.js'
import {packageFile} from '../package-files.js'
import {parseConfiguration, wrong} from './document.js'
import type {ConfigurationDocument} from './document.js'
import {separate} from './lxd-keys.js'
import type {LxdConfiguration} from './lxd-keys.js'
import {resolvePaths} from './paths.js'
import {readLimited} from './places.js'
import type {OpenFile} from './places.js'
import {checkValues} from './schema.js'
import type {ConfigurationValues} from './schema.js'

export interface LoadedConfiguration {
  /** Absolute; undefined where there is none. */
  readonly file: string | undefined
  readonly values: ConfigurationValues
  readonly denied: LxdConfiguration['denied']
  readonly idMap: LxdConfiguration['idMap']
  /** Lines for the person, without our name. */
  readonly notes: readonly string[]
  /** Where the file has a key; undefined without a file. */
  readonly line?: (key: string) => number
}

export type Origin = 'named' | 'project' | 'system'

/** Undefined: nothing of ours is in it. */
export function readConfiguration(open: OpenFile): ConfigurationDocument | undefined {
  const bytes = readLimited(open)
  const member = basename(open.file) === 'package.json' ? 'interceptor' : undefined
  const refuse = (path: string): never => {
    throw new UsageError(`cannot use the configuration ${path}: nothing is executed`)
  }
  // By itself cosmiconfig executes .config/config.js of the current directory when it is made, and what $import names.
  const explorer = inHarmlessDirectory(() =>
    cosmiconfigSync('interceptor', {
      cache: false,
      searchPlaces: ['interceptor'],
      loaders: {
        noExt: () => parseConfiguration(open.file, bytes, member) ?? null,
        ...Object.fromEntries(['.cjs', '.js', '.json', '.mjs', '.ts', '.yaml', '.yml'].map((name) => [name, refuse])),
      },
    }),
  )
  // The file that was opened and checked, not one that has its name by now.
  const found = explorer.load(`/proc/self/fd/${open.fd}`)
  return (found?.config as ConfigurationDocument | undefined) ?? undefined
}

/** The directory of our schemas holds nothing that is executed. The way back is by descriptor: names may be no UTF-8. */
function inHarmlessDirectory<T>(action: () => T): T {
  const before = openSync('.', O_PATH | constants.O_DIRECTORY)
  try {
    process.chdir(fileURLToPath(packageFile('schemas')))
    return action()
  } finally {
    process.chdir(`/proc/self/fd/${before}`)
    closeSync(before)
  }
}

export async function interpretConfiguration(
  document: ConfigurationDocument,
  origin: Origin,
  keys: readonly Flag[],
  given: readonly string[],
): Promise<LoadedConfiguration> {
  const {file} = document
  const notes = [...given]
  const {own, lxd} = separate(document)
  const ours = await checkValues(document, own, keys)
  const twice = Object.keys(lxd.values).find((key) => Object.hasOwn(ours, key))
  if (twice !== undefined) throw wrong(file, document.line([twice]), `${twice} is also given by a key of LXD`)
  const values = {...ours, ...lxd.values}
  const line = (key: string): number => document.line(lxd.places[key] ?? [key])
  const guarded = keys.find((key) => key.kind !== 'switch' && key.onlyFromNamed === true && key.name in values)
  if (origin !== 'named' && guarded !== undefined) {
    const {name} = guarded
    throw wrong(file, line(name), `${name} is only taken from a file that was named`, [`add --config ${file}`])
  }
  if (lxd.passed.length > 0)
    notes.push(`${file}: passed over, having no meaning for one command: ${shorten(lxd.passed)}`)
  return {
    file,
    values: resolvePaths(values, keys, {file, confined: origin === 'project', line}),
    denied: lxd.denied,
    idMap: lxd.idMap,
    notes,
    line,
  }
}

function shorten(keys: readonly string[]): string {
  const shown = keys.slice(0, 8).join(', ')
  return keys.length > 8 ? `${shown} and ${keys.length - 8} more` : shown
}
