// Which found files may turn things on: those whose content a person has looked at and trusted, as direnv(1) has it.

import {createHash} from 'node:crypto'
import {existsSync, mkdirSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {LaunchError} from '../errors.js'
import {trustStore} from '../host/trust-store.js'
import type {ConfigurationDocument} from './document.js'
import type {ConfigurationValues} from './schema.js'

type Environment = Readonly<Record<string, string | undefined>>

/** What an untrusted file may set: limits, and what is shown. Everything else could give a container more. */
const NARROWING = new Set(['cpus', 'fail-on', 'log-format', 'memory', 'pids', 'quiet', 'read-only', 'summary', 'trace'])

/** Whether just this content of this file was trusted. */
export function isTrusted(document: ConfigurationDocument, environment: Environment = process.env): boolean {
  const store = trustStore(environment)
  return store !== undefined && existsSync(join(store, digest(document)))
}

/** From now on the file may turn on what it says now; a change of it is another content. */
export function trust(document: ConfigurationDocument, environment: Environment = process.env): void {
  const store = trustStore(environment)
  if (store === undefined) throw new LaunchError('cannot trust a file: neither HOME nor XDG_STATE_HOME is set')
  try {
    mkdirSync(store, {recursive: true, mode: 0o700})
    writeFileSync(join(store, digest(document)), `${document.file}\n`, {mode: 0o600})
  } catch (cause) {
    throw new LaunchError(`cannot trust ${document.file}`, {cause})
  }
}

/** The values that count without trust, and the keys of all others. */
export function narrowed(values: ConfigurationValues): {
  readonly values: ConfigurationValues
  readonly dropped: readonly string[]
} {
  const isNarrowing = ([key, value]: [string, unknown]) => NARROWING.has(key) || (key === 'network' && value === 'none')
  const entries = Object.entries(values)
  return {
    values: Object.fromEntries(entries.filter(isNarrowing)),
    dropped: entries.filter((entry) => !isNarrowing(entry)).map(([key]) => key),
  }
}

/** Of the data that is used, not of the text: comments, and the rest of a package.json, may change. */
function digest({file, data}: ConfigurationDocument): string {
  return createHash('sha256')
    .update(`${file}\0${JSON.stringify(data)}`)
    .digest('hex')
}
