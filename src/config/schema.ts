// Checks the keys of a configuration against the published schema and gives them the shape of flags.

import {readFileSync} from 'node:fs'

import type {ErrorObject} from 'ajv'

import {nearest} from '../nearest.js'
import {packageFile} from '../package-files.js'
import {isMembers, wrong} from './document.js'
import type {ConfigurationDocument, Members, Place} from './document.js'

/** By long name of the flag, as the command line gives them. */
export type ConfigurationValues = Readonly<Record<string, string | true | readonly string[]>>

interface Property {
  readonly type?: string | readonly string[]
  readonly anyOf?: readonly Property[]
  readonly enum?: readonly string[]
}

export interface ConfigurationSchema {
  readonly properties: Readonly<Record<string, Property>>
}

/** Lists in which one text may hold several values, separated by commas. */
const COMMA_SEPARATED = new Set(['finit-module', 'mount-allowed', 'mount-fuse'])

export function readSchema(): ConfigurationSchema {
  const file = packageFile('schemas/interceptor.schema.json')
  return JSON.parse(readFileSync(file, 'utf8')) as ConfigurationSchema
}

/** `own`: members of the document that are no keys of LXD. Throws with file and line at the first that is wrong. */
export async function checkValues(document: ConfigurationDocument, own: Members): Promise<ConfigurationValues> {
  const schema = readSchema()
  const {properties} = schema
  const unknown = Object.keys(own).find((key) => !Object.hasOwn(properties, key))
  if (unknown !== undefined) throw unknownKey(document, unknown, Object.keys(properties), [unknown])
  const {Ajv} = await import('ajv')
  const ajv = new Ajv({allowUnionTypes: true})
  return Object.fromEntries(
    Object.entries(own).flatMap(([key, value]) => {
      const property = properties[key] ?? {}
      // Key by key: to compile the whole schema would take longer than all the rest.
      const validate = ajv.compile(property)
      if (!validate(value)) throw describe(document, key, property, validate.errors ?? [])
      const normal = normalise(key, value, isList(property))
      return normal === undefined ? [] : [[key, normal] as const]
    }),
  )
}

/** What no line alone says wrongly. `line` gives the line of a key, wherever it came from. */
export function checkTogether(
  file: string,
  values: ConfigurationValues,
  line: (key: string) => number | undefined,
): void {
  const list = (key: string): readonly string[] => {
    const value = values[key]
    return typeof value === 'object' ? value : []
  }
  const halves = list('mount-fuse').find((entry) => !/^[^=]+=[^=]+$/.test(entry))
  if (halves !== undefined)
    throw wrong(file, line('mount-fuse'), `${JSON.stringify(halves)} does not name a file system and its program`, [
      'write it as ext4=fuse2fs',
    ])
  const fuse = list('mount-fuse').map((entry) => entry.split('=', 1)[0] ?? '')
  const both = list('mount-allowed').find((type) => fuse.includes(type))
  if (both !== undefined)
    throw wrong(file, line('mount-fuse'), `${both} is to be mounted by the kernel and by a FUSE program as well`, [
      `leave ${both} out of one of the two lists`,
    ])
}

export function unknownKey(
  {file, line}: ConfigurationDocument,
  unknown: string,
  known: readonly string[],
  place: Place,
): Error {
  const meant = nearest(unknown.replace(/^--/, '').replaceAll('_', '-').toLowerCase(), known) ?? nearest(unknown, known)
  const hint = meant === undefined ? 'see interceptor.yaml(5) for all keys' : `write ${meant}`
  return wrong(file, line(place), `unknown key ${JSON.stringify(unknown)}`, [hint])
}

function normalise(key: string, value: unknown, list: boolean): string | true | readonly string[] | undefined {
  if (value === true) return true
  if (value === false) return undefined
  if (isMembers(value)) return Object.entries(value).map(([name, entry]) => `${name}=${String(entry)}`)
  const texts = (Array.isArray(value) ? value : [value]).map(String)
  if (!list) return texts[0]
  return COMMA_SEPARATED.has(key) ? texts.flatMap((text) => text.split(',').map((part) => part.trim())) : texts
}

function isList(property: Property): boolean {
  return property.anyOf?.some(({type}) => type === 'array') === true
}

function describe(
  {file, line}: ConfigurationDocument,
  key: string,
  property: Property,
  errors: readonly ErrorObject[],
): Error {
  const path = errors.find(({instancePath}) => instancePath !== '')?.instancePath ?? ''
  const inner = path
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
  return wrong(file, line([key, ...inner]), `${key} must be ${expected(property)}`, example(key, property))
}

function expected(property: Property): string {
  if (property.enum !== undefined) return `one of ${property.enum.join(', ')}`
  if (property.type === 'boolean') return 'true or false'
  if (property.anyOf?.some(({type}) => type === 'object') === true) return 'a list of texts, or name: value lines'
  if (isList(property)) return 'a list of texts'
  return Array.isArray(property.type) ? 'a text or a number' : 'a text'
}

function example(key: string, property: Property): readonly string[] {
  if (property.enum !== undefined) return [`write ${key}: ${property.enum[0] ?? ''}`]
  if (property.type === 'boolean') return [`write ${key}: true`]
  return isList(property) ? [`write ${key}: [VALUE, VALUE]`] : []
}
