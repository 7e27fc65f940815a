// Failures that a person can act on, and the exit statuses of interceptor itself.

/** Exit statuses that are interceptor's own; every other status of run and exec is the command's. See interceptor(1). */
export const EXIT = {
  good: 0,
  unavailable: 1,
  usage: 2,
  refused: 3,
  /** Of explain, where `refused` is of run. */
  unjudged: 3,
  bug: 70,
  failed: 125,
  notExecutable: 126,
  notFound: 127,
} as const

export interface InterceptorErrorOptions {
  /** What went wrong underneath; shown after a colon. */
  readonly cause?: unknown
  /** Next steps, each an imperative sentence without a full stop. */
  readonly hints?: readonly string[]
}

/** A failure that a person can act on. Anything else that is thrown is a bug of ours. */
export abstract class InterceptorError extends Error {
  /** oclif reads this name when it prints an error as JSON. */
  abstract readonly exitCode: number
  readonly hints: readonly string[]

  constructor(message: string, {cause, hints = []}: InterceptorErrorOptions = {}) {
    super(message, cause === undefined ? {} : {cause})
    this.name = new.target.name
    this.hints = hints
  }
}

/** The command line or the configuration is wrong. */
export class UsageError extends InterceptorError {
  override readonly exitCode = EXIT.usage
}

/** The container could not be made, or supervision ended early. */
export class LaunchError extends InterceptorError {
  override readonly exitCode: number = EXIT.failed
}

/** The kernel or the system lacks something that was asked for. */
export class UnavailableError extends InterceptorError {
  override readonly exitCode = EXIT.failed
}
