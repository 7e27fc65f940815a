// --handler: calls that modules of the user's own answer, as plain data. What they declare is known when they are loaded.

import {INTERCEPTION, asPath, wholePath} from '../../../flag.js'
import type {ListFlag} from '../../../flag.js'
import {missing} from '../../policy.js'
import type {PolicyDeclaration} from '../../policy.js'

/** One register in a filter; numbers are text in hexadecimal. */
export interface HandlerComparison {
  readonly argument: 0 | 1 | 2 | 3 | 4 | 5
  readonly width: 32 | 64
  readonly operator: 'eq' | 'ge' | 'gt' | 'le' | 'lt' | 'ne'
  readonly value: string
  readonly mask?: string
}

export interface HandlerArgument {
  readonly name: string
  readonly kind: 'bytes' | 'fd' | 'int' | 'mode' | 'path' | 'pointer' | 'size' | 'string' | 'uint'
  readonly index: 0 | 1 | 2 | 3 | 4 | 5
  readonly limit?: number
  /** The argument that tells how many bytes there are. */
  readonly length?: 0 | 1 | 2 | 3 | 4 | 5
}

/** A call that a module of the user's own answers; declaration.ts makes it from what the module exports. */
export interface HandlerDeclaration {
  /** Absolute path of the module, and which of its handlers it is. */
  readonly file: string
  readonly index: number
  readonly name: string
  /** For a call that no kernel has. */
  readonly number?: number
  readonly timeLimitMs: number
  readonly arguments: readonly HandlerArgument[]
  readonly condition?: readonly (readonly HandlerComparison[])[]
}

export interface HandlerPolicy {
  readonly calls: readonly HandlerDeclaration[]
}

/** Files as typed. */
export const handler: ListFlag<string> = {
  ...INTERCEPTION,
  name: 'handler',
  kind: 'list',
  placeholder: 'FILE.js',
  parse: asPath,
  withPath: wholePath,
  onlyFromNamed: true,
  summary: 'let a module of your own answer a system call, or a number that no kernel uses',
  description:
    'FILE.js is a module whose default export declares one call, or an array of them: its name, or a number that no ' +
    'kernel uses, its arguments, and the function that answers it. It runs with the rights of the supervisor, in a ' +
    'worker of its own; a handler that throws, takes longer than its time limit or returns nonsense refuses that call ' +
    'alone. The container must not be able to write to FILE.js: keep it outside of the current directory. May be ' +
    'repeated. Never taken from a configuration file that was found, only from one that --config names.',
}

export const handlerPolicy: PolicyDeclaration<HandlerPolicy> = {
  flags: [handler],
  // See `load` of the family.
  fromFlags: () => undefined,
  beyond: (asked, given) => missing(namesOf(asked), namesOf(given)).map((call) => `the handler ${call}`),
}

function namesOf({calls}: HandlerPolicy): readonly string[] {
  return calls.map(({file, name}) => `${name} of ${file}`)
}
