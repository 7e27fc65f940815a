// Finds the configuration, decides whether it may be used, and reads it as data. See interceptor.yaml(5).

import {lstatSync} from 'node:fs'
import {basename, extname, join, resolve} from 'node:path'

import {UsageError} from '../errors.js'
import type {Flag} from '../flag.js'
import type {ConfigurationDocument} from './document.js'
import type {OpenFile} from './places.js'
import {
  closeFile,
  distrust,
  openIfThere,
  openNamedConfiguration,
  PROGRAM_NAMES,
  PROJECT_NAMES,
  readLimited,
  SYSTEM_NAMES,
  systemDirectories,
  upward,
} from './places.js'
import type {LoadedConfiguration, Origin} from './read.js'

export interface ConfigurationRequest {
  readonly cwd: string
  /** What a file may hold beside keys of LXD. */
  readonly keys: readonly Flag[]
  /** --config */
  readonly explicit?: string | undefined
  /** --no-config */
  readonly disabled: boolean
  /** Those that files are compared with. */
  readonly euid: number
  readonly egid?: number
  /** Real root; when left out, whoever has the id 0. Root of a user namespace may be anyone. */
  readonly isRoot?: boolean
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** Whether a file of the project may turn things on; `isTrusted` of trust.ts when left out. */
  readonly isTrusted?: (document: ConfigurationDocument) => boolean
}

/** Throws UsageError for a file that can't be read, must not be trusted, or holds what is wrong. */
export async function loadConfiguration(request: ConfigurationRequest): Promise<LoadedConfiguration> {
  const notes: string[] = []
  if (request.disabled) return {...NOTHING, notes}
  if (request.explicit !== undefined)
    return interpret(await named(resolve(request.cwd, request.explicit)), 'named', request, notes)
  if (!isRoot(request)) {
    const found = await firstOf(placesOf(upward(request.cwd), PROJECT_NAMES), (file) =>
      trusted(file, request, 'project'),
    )
    if (found !== undefined) return interpret(found, 'project', request, notes)
  } else notes.push(...passedOver(request.cwd))
  if (notes.length === 0) notes.push(...programs(request.cwd))
  const places = placesOf(systemDirectories(request.environment ?? process.env), SYSTEM_NAMES)
  const found = await firstOf(places, (file) => trusted(file, request, 'system', notes))
  return found === undefined ? {...NOTHING, notes} : interpret(found, 'system', request, notes)
}

const NOTHING = {file: undefined, values: {}, denied: undefined, idMap: undefined} as const
const NOT_DATA = new Set(['.cjs', '.cts', '.js', '.jsx', '.mjs', '.mts', '.ts', '.tsx', '.toml'])

async function named(file: string): Promise<ConfigurationDocument> {
  if (NOT_DATA.has(extname(file)))
    throw new UsageError(`cannot use the configuration ${file}: it is no YAML or JSON file, and nothing is executed`)
  const open = openNamedConfiguration(file)
  if (open === undefined) throw new UsageError(`cannot read the configuration ${file}: no such file`)
  try {
    const document = await read(open)
    if (document !== undefined) return document
    if (basename(file) === 'package.json') throw new UsageError(`${file}: it has no member "interceptor"`)
    return {file, data: {}, line: () => 1}
  } finally {
    closeFile(open)
  }
}

/** The file as data, or undefined where it is not there or not ours. */
async function trusted(
  file: string,
  request: ConfigurationRequest,
  origin: Origin,
  notes: string[] = [],
): Promise<ConfigurationDocument | undefined> {
  const isPackage = basename(file) === 'package.json'
  const open = openFound(file, origin, isPackage)
  if (open === undefined) return undefined
  try {
    // Every project has a package.json: only one that mentions us is looked at.
    if (isPackage && !mentionsUs(open)) return undefined
    const cause = distrust(open, {uid: request.euid, gid: request.egid ?? process.getegid?.() ?? request.euid})
    const document = cause === undefined || isPackage ? await read(open) : undefined
    if (isPackage && document === undefined) return undefined
    if (cause === undefined) return document
    if (origin === 'system' && isRoot(request) && open.uid !== 0) {
      // HOME may still be the user's who started us with sudo(8).
      notes.push(`configuration ${file} is not used: ${cause}; name it if it is to be used: --config ${file}`)
      return undefined
    }
    throw new UsageError(`cannot use the configuration ${file}: ${cause}`, {
      hints: [
        'make it your own, writable for you alone',
        'name it if it is to be used: --config FILE',
        'or do without: --no-config',
      ],
    })
  } finally {
    closeFile(open)
  }
}

function openFound(file: string, origin: Origin, isPackage: boolean): OpenFile | undefined {
  try {
    return openIfThere(file, {follow: origin === 'system'})
  } catch (error) {
    if (isPackage || isOutOfSight(file)) return undefined
    throw error
  }
}

/** Below a directory that may not be searched: that of another user, whose HOME was left to us by runuser(1) or sudo(8). */
function isOutOfSight(file: string): boolean {
  try {
    lstatSync(file)
    return false
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EACCES'
  }
}

function isRoot({isRoot: known, euid}: ConfigurationRequest): boolean {
  return known ?? euid === 0
}

/** Root would use what anyone could put into a pull request: it is told of the file and no more. */
function passedOver(cwd: string): readonly string[] {
  for (const file of placesOf(upward(cwd), PROJECT_NAMES)) {
    let open: OpenFile | undefined
    try {
      open = openIfThere(file, {follow: false})
      if (open === undefined || (basename(file) === 'package.json' && !mentionsUs(open))) continue
    } catch {
      if (basename(file) === 'package.json') continue
    } finally {
      if (open !== undefined) closeFile(open)
    }
    return [`configuration ${file} is not used, because root started us; name it if it is to be used: --config ${file}`]
  }
  return []
}

function programs(cwd: string): readonly string[] {
  const file = placesOf(upward(cwd), PROGRAM_NAMES).find((place) => {
    try {
      return lstatSync(place, {throwIfNoEntry: false})?.isFile() === true
    } catch {
      return false
    }
  })
  if (file === undefined) return []
  return [`configuration ${file} is not used: nothing is executed; write it in YAML, as interceptor.config.yaml`]
}

function mentionsUs(open: OpenFile): boolean {
  try {
    return readLimited(open).includes('"interceptor"') && Object.hasOwn(asObject(readLimited(open)), 'interceptor')
  } catch {
    return false
  }
}

function asObject(bytes: Buffer): object {
  const value: unknown = JSON.parse(bytes.toString())
  return typeof value === 'object' && value !== null ? value : {}
}

/** Undefined: nothing of ours is in it. What reading takes is loaded only where there is a file. */
async function read(open: OpenFile): Promise<ConfigurationDocument | undefined> {
  const {readConfiguration} = await import('./read.js')
  return readConfiguration(open)
}

async function interpret(
  document: ConfigurationDocument,
  origin: Origin,
  {keys, environment, isTrusted}: ConfigurationRequest,
  notes: readonly string[],
): Promise<LoadedConfiguration> {
  const {interpretConfiguration} = await import('./read.js')
  const loaded = await interpretConfiguration(document, origin, keys, notes)
  if (origin !== 'project') return loaded
  const own = await import('./trust.js')
  const used = [...loaded.notes, `configuration ${document.file} is used`]
  if (isTrusted?.(document) ?? own.isTrusted(document, environment)) return {...loaded, notes: used}
  const {values, dropped} = own.narrowed(loaded.values)
  const denied = loaded.denied?.defaults === false ? undefined : loaded.denied
  const left = [...dropped, ...(denied === loaded.denied ? [] : ['security.syscalls.deny_default'])]
  const all = [...left, ...(loaded.idMap === undefined ? [] : ['raw.idmap'])]
  if (all.length === 0) return {...loaded, notes: used}
  const note =
    `configuration ${document.file} was not trusted, and a container may have written it: left out are ${all.join(', ')}; ` +
    `to use them, look at the file, then: interceptor trust ${document.file}`
  return {...loaded, values, denied, idMap: undefined, notes: [...loaded.notes, note]}
}

/**
 * Remembers the content of a file of a project, which may turn things on from now on.
 *
 * @returns the keys that it sets
 * @throws UsageError for what is no configuration, or could be changed by others
 */
export async function trustFile(file: string, keys: readonly Flag[]): Promise<readonly string[]> {
  const document = await trusted(file, {cwd: '/', keys, disabled: false, euid: process.geteuid?.() ?? 0}, 'project')
  if (document === undefined) {
    throw new UsageError(`cannot trust ${file}: it is not there, or holds no configuration of interceptor`)
  }
  const [{interpretConfiguration}, {trust}] = await Promise.all([import('./read.js'), import('./trust.js')])
  const {values} = await interpretConfiguration(document, 'project', keys, [])
  trust(document)
  return Object.keys(values)
}

function placesOf(directories: readonly string[], names: readonly string[]): readonly string[] {
  return directories.flatMap((directory) => names.map((name) => join(directory, name)))
}

async function firstOf<T>(
  files: readonly string[],
  look: (file: string) => Promise<T | undefined>,
): Promise<T | undefined> {
  for (const file of files) {
    const found = await look(file)
    if (found !== undefined) return found
  }
  return undefined
}
