// Modules of the user's own for system calls (--handler): what they declare, as plain data that crosses to the workers,
// and their functions, which only the handler lane has. docs/HANDLERS.md describes the form.

import {accessSync, constants, statSync} from 'node:fs'
import {resolve} from 'node:path'
import {pathToFileURL} from 'node:url'

import {UsageError} from '../../../errors.js'
import {isMembers, parseDeclaration} from './declaration.js'
import type {HandlerDeclaration, HandlerPolicy} from './policy.js'
import type {Caller} from '../../family.js'

/** Answers one call. What it returns is checked by result.ts. */
export type HandlerFunction = (values: Readonly<Record<string, unknown>>, caller: Caller) => unknown

/** By name of the call. */
export type HandlerFunctions = ReadonlyMap<string, HandlerFunction>

/** Imports the modules, which runs them, for what they declare. `files` as typed. */
export async function loadHandlers(files: readonly string[]): Promise<HandlerPolicy | undefined> {
  if (files.length === 0) return undefined
  const calls: HandlerDeclaration[] = []
  for (const file of files) {
    const path = resolve(file)
    const exported = await importFrom(path, file)
    for (const [index, one] of exported.entries()) calls.push(parseDeclaration(file, path, index, one))
  }
  const seen = new Set<string>()
  for (const {name, number, file} of calls) {
    for (const key of [name, ...(number === undefined ? [] : [String(number)])]) {
      if (seen.has(key)) throw new UsageError(`--handler ${file}: ${key} has two handlers`)
      seen.add(key)
    }
  }
  return {calls}
}

/** The functions of the calls, in the worker that runs them. */
export async function loadHandlerFunctions(policy: HandlerPolicy): Promise<HandlerFunctions> {
  const functions = new Map<string, HandlerFunction>()
  for (const {file, index, name} of policy.calls) {
    const handle = (await importFrom(file, file))[index]?.['handle']
    if (typeof handle !== 'function') throw new Error(`${file} has no handler of ${name} any more`)
    functions.set(name, handle as HandlerFunction)
  }
  return functions
}

async function importFrom(path: string, shown: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const problem = problemWith(path)
  if (problem !== undefined)
    throw new UsageError(`cannot load handler ${shown}: ${problem}`, {
      hints: ['--handler takes a JavaScript module, see docs/HANDLERS.md for its form'],
    })
  let module: {readonly default?: unknown}
  try {
    module = (await import(pathToFileURL(path).href)) as {readonly default?: unknown}
  } catch (error) {
    throw new UsageError(`cannot load handler ${shown}`, {
      cause: error,
      hints: error instanceof SyntaxError ? [`node --check ${shown} shows where`] : [],
    })
  }
  const exported = module.default
  const list: readonly unknown[] = Array.isArray(exported) ? exported : [exported]
  if (list.length === 0 || !list.every(isMembers))
    throw new UsageError(`cannot use handler ${shown}: its default export is no handler, and no array of handlers`, {
      hints: ['see docs/HANDLERS.md for its form'],
    })
  return list
}

/** What import would word as a problem of ours: it names the modules that it resolves from. */
function problemWith(path: string): string | undefined {
  try {
    const status = statSync(path, {throwIfNoEntry: false})
    if (status === undefined) return 'no such file'
    if (status.isDirectory()) return 'it is a directory'
    accessSync(path, constants.R_OK)
    return undefined
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EACCES' ? 'permission denied' : undefined
  }
}
