// What a figure is: one comparison or several, measured in alternating runs on one machine.

/** A word why something can't be measured here, or undefined where it can. */
export type Need = () => string | undefined

export interface Figure {
  /** As on the command line. */
  readonly name: string
  readonly title: string
  readonly needs: readonly Need[]
  run(context: Context): Promise<readonly Comparison[]>
}

export interface Context {
  /** Fewer rounds, and wider spreads. */
  readonly isQuick: boolean
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal
  /** `full`, or the few that do for a quick look. */
  rounds(full: number): number
  /** A fresh directory on an ordinary file system, which is gone after the figure. */
  directory(): string
  /** Undone after the figure, the last one first, whatever happens. */
  defer(undo: () => Promise<void> | void): void
  /** A part of the figure can't be measured here; shown with the figure, so that it is not missed in silence. */
  leaveOut(part: string, reason: string): void
  /** One line of progress. */
  say(text: string): void
}

export type Unit = 'bytes' | 'calls/s' | 'descriptors' | 'ns' | 's'

/** One value for each round. */
export interface Series {
  readonly name: string
  readonly unit: Unit
  readonly values: readonly number[]
  /** The 99th percentile of each round, where a round has many calls. */
  readonly p99?: readonly number[]
}

export type Target = {readonly atLeast: number} | {readonly atMost: number}

export interface Comparison {
  readonly what: string
  readonly subject: Series
  /** Measured in the same rounds: the ratio is the subject's value divided by this one's, round by round. */
  readonly baseline?: Series
  readonly target?: Target
  /** What a reader must know to trust it. */
  readonly note?: string
}
