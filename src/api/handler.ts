// What a module of --handler exports: types alone, as `interceptor/handler`. Unstable until 1.0; see docs/HANDLERS.md.

import type {HANDLER_KINDS} from '../intercept/families/handler/declaration.js'
import type {ArgumentIndex, Caller} from '../intercept/family.js'

export type {
  ArgumentIndex,
  Caller,
  CallerCredentials,
  CallerFacts,
  CallerMemory,
  ParentDirectory,
} from '../intercept/family.js'

/** How an argument is read of the caller before the function runs. */
export type HandlerKind = keyof typeof HANDLER_KINDS

export type HandlerArgument =
  | {readonly kind: Exclude<HandlerKind, 'bytes' | 'string'>; readonly index: ArgumentIndex}
  /** `limit` counts the NUL. */
  | {readonly kind: 'string'; readonly index: ArgumentIndex; readonly limit: number}
  /** `length`: the register that holds how many bytes there are. */
  | {readonly kind: 'bytes'; readonly index: ArgumentIndex; readonly limit: number; readonly length: ArgumentIndex}

export type HandlerArguments = Readonly<Record<string, HandlerArgument>>

/** One comparison on a register, as the filter makes it. */
export interface HandlerComparison {
  readonly argument: ArgumentIndex
  readonly width: 32 | 64
  readonly operator: 'eq' | 'ge' | 'gt' | 'le' | 'lt' | 'ne'
  readonly value: bigint | number
  readonly mask?: bigint | number
}

interface ValueOfKind {
  readonly bytes: Buffer | null
  readonly path: Buffer
  readonly string: Buffer
}

/** What `handle` gets: a Buffer for text, null for more bytes than `limit`, a number for everything else. */
export type HandlerValues<A extends HandlerArguments> = {
  readonly [Name in keyof A]: A[Name]['kind'] extends keyof ValueOfKind ? ValueOfKind[A[Name]['kind']] : number
}

/** Exactly one of them; `reason` is for the log. */
export type HandlerAnswer =
  | {readonly value: number; readonly reason?: string}
  /** By its name or number; the call answers -1. */
  | {readonly errno: number | string; readonly reason?: string}
  /** A descriptor of the handler's, which the caller gets a copy of. */
  | {readonly descriptor: number; readonly closeOnExec?: boolean; readonly reason?: string}
  /** The kernel answers, with the caller's own rights. */
  | {readonly continue: true; readonly reason?: string}

/** The default export of a module is one of these or an array of them. */
export interface Handler<A extends HandlerArguments = HandlerArguments> {
  /** The kernel's name of the call, or any name together with `number`. */
  readonly name: string
  /** A number that no kernel uses, the same on every ABI. */
  readonly number?: number
  readonly arguments?: A
  /** Any one group suffices; a group holds when all its comparisons hold. */
  readonly condition?: readonly (readonly HandlerComparison[])[]
  /** Milliseconds; 2000 when left out. */
  readonly timeLimitMs?: number
  /** Answers at once: a promise cannot be waited for. */
  handle(values: HandlerValues<A>, caller: Caller): HandlerAnswer
}
