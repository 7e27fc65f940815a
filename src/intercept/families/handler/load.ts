// Modules of the user's own for system calls (--handler): what they declare, as plain data that crosses to the workers,
// and their functions, which only the handler lane has. docs/HANDLERS.md describes the form.

import {accessSync, constants, fstatSync} from 'node:fs'
import {resolve} from 'node:path'
import {pathToFileURL} from 'node:url'

import {UsageError} from '../../../errors.js'
import {closeQuietly} from '../../../ffi/libc.js'
import {openNamedIfThere, pathOf} from '../../../host/open.js'
import {pathOfDescriptor} from '../../caller/descriptor-path.js'
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
    const path = locate(file)
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

/**
 * The absolute path without links: what is imported later, by another worker, is then below the same directories.
 * What import would word as a problem of ours, naming the modules that it resolves from, is told here.
 */
function locate(file: string): string {
  const fd = openNamedIfThere('handler', Buffer.from(resolve(file)))
  try {
    const problem = fd === undefined ? 'no such file' : problemWith(fd)
    if (fd !== undefined && problem === undefined) return pathOfDescriptor(fd).toString()
    throw new UsageError(`cannot load handler ${file}: ${problem}`, {
      hints: ['--handler takes a JavaScript module, see docs/HANDLERS.md for its form'],
    })
  } finally {
    if (fd !== undefined) closeQuietly(fd)
  }
}

function problemWith(fd: number): string | undefined {
  if (fstatSync(fd).isDirectory()) return 'it is a directory'
  try {
    accessSync(pathOf(fd), constants.R_OK)
    return undefined
  } catch {
    return 'permission denied'
  }
}
