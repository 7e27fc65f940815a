// Failures of a benchmark that are told in one line, as `bench: cannot VERB OBJECT: CAUSE`.

export class BenchError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'BenchError'
  }
}

/** The command line is wrong. */
export class UsageError extends BenchError {}

/** The message and those of its causes; of anything that is no BenchError the stack, since it is a bug. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const {cause} = error
  if (!(error instanceof BenchError)) return error.stack ?? error.message
  return cause instanceof Error ? `${error.message}: ${cause.message}` : error.message
}
