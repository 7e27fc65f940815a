// The keys of a configuration: their schema, which is published, and values checked against it in the shape of flags.

import type {ErrorObject} from 'ajv'

import type {Flag} from '../flag.js'
import {nearest} from '../nearest.js'
import {isMembers, wrong} from './document.js'
import type {ConfigurationDocument, Members, Place} from './document.js'
import {AROUND, NAMESPACES} from './lxd-keys.js'

/** By long name of the flag, as the command line gives them. */
export type ConfigurationValues = Readonly<Record<string, string | true | readonly string[]>>

/** schemas/interceptor.schema.json. */
export function configurationSchema(keys: readonly Flag[]): object {
  const around = AROUND.filter((member) => !keys.some(({name}) => name === member))
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'interceptor configuration',
    description:
      'Keys mirror the flags of interceptor run; see interceptor.yaml(5). Keys of LXD and Incus are taken beside them.',
    type: 'object',
    properties: Object.fromEntries(keys.map((key) => [key.name, {...schemaOf(key), description: key.summary}])),
    patternProperties: {
      [`^(${NAMESPACES.join('|')})\\.`]: {
        type: ['string', 'number', 'boolean'],
        description: 'a key of LXD or Incus',
      },
      [`^(${around.join('|')})$`]: {description: 'a member of `lxc config show` or `incus config show`'},
    },
    additionalProperties: false,
  }
}

/** Of the value of one key. */
function schemaOf(key: Flag): object {
  if (key.kind === 'switch') return {type: 'boolean'}
  if (key.kind === 'value') {
    if (key.options !== undefined) return {type: 'string', enum: key.options}
    return {type: key.isNumber === true ? ['string', 'number'] : 'string'}
  }
  const {members} = key
  const types = members?.length === 1 ? members[0] : members
  return {
    anyOf: [
      {type: 'array', items: {type: 'string'}},
      {type: 'string'},
      ...(members === undefined ? [] : [{type: 'object', additionalProperties: {type: types}}]),
    ],
  }
}

/** `own`: members of the document that are no keys of LXD. Throws with file and line at the first that is wrong. */
export async function checkValues(
  document: ConfigurationDocument,
  own: Members,
  keys: readonly Flag[],
): Promise<ConfigurationValues> {
  const byName = new Map(keys.map((key) => [key.name, key]))
  const unknown = Object.keys(own).find((name) => !byName.has(name))
  if (unknown !== undefined) throw unknownKey(document, unknown, [...byName.keys()], [unknown])
  const {Ajv} = await import('ajv')
  const ajv = new Ajv({allowUnionTypes: true})
  return Object.fromEntries(
    Object.entries(own).flatMap(([name, value]) => {
      const key = byName.get(name)!
      // Key by key: to compile the whole schema would take longer than all the rest.
      const validate = ajv.compile(schemaOf(key))
      if (!validate(value)) throw describe(document, key, validate.errors ?? [])
      const normal = normalise(key, value)
      return normal === undefined ? [] : [[name, normal] as const]
    }),
  )
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

function normalise(key: Flag, value: unknown): string | true | readonly string[] | undefined {
  if (value === true) return true
  if (value === false) return undefined
  if (isMembers(value)) return Object.entries(value).map(([name, entry]) => `${name}=${String(entry)}`)
  const texts = (Array.isArray(value) ? value : [value]).map(String)
  if (key.kind !== 'list') return texts[0]
  const {separator} = key
  return separator === undefined ? texts : texts.flatMap((text) => text.split(separator).map((part) => part.trim()))
}

function describe({file, line}: ConfigurationDocument, key: Flag, errors: readonly ErrorObject[]): Error {
  const path = errors.find(({instancePath}) => instancePath !== '')?.instancePath ?? ''
  const inner = path
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
  return wrong(file, line([key.name, ...inner]), `${key.name} must be ${expected(key)}`, example(key))
}

function expected(key: Flag): string {
  if (key.kind === 'switch') return 'true or false'
  if (key.options !== undefined) return `one of ${key.options.join(', ')}`
  if (key.kind === 'list')
    return key.members === undefined ? 'a list of texts' : 'a list of texts, or name: value lines'
  return key.isNumber === true ? 'a text or a number' : 'a text'
}

function example({name, kind, options}: Flag): readonly string[] {
  if (options !== undefined) return [`write ${name}: ${options[0] ?? ''}`]
  if (kind === 'switch') return [`write ${name}: true`]
  return kind === 'list' ? [`write ${name}: [VALUE, VALUE]`] : []
}
