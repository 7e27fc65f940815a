// The arithmetic of benchmarks: alternating runs, medians, spreads, ratios. Pure but for calling what it is given.

import type {Comparison, Series, Target} from './figure.js'

export interface Spread {
  readonly count: number
  readonly median: number
  /** The quartiles. */
  readonly lower: number
  readonly upper: number
  readonly min: number
  readonly max: number
}

export type Verdict = 'MISSED' | 'REACHED'

/** A comparison in numbers. */
export interface Row {
  readonly what: string
  readonly subject: Measured
  readonly baseline?: Measured
  readonly ratio?: Spread
  readonly target?: Target
  readonly verdict?: Verdict
  readonly note?: string
}

export interface Measured {
  readonly name: string
  readonly unit: Series['unit']
  readonly spread: Spread
  /** The median of the rounds' 99th percentiles. */
  readonly p99?: number
}

/** The value below which the share `share` of `sorted` lies, between two of them in proportion. */
export function quantile(sorted: readonly number[], share: number): number {
  if (sorted.length === 0) throw new RangeError('nothing was measured')
  const at = (sorted.length - 1) * share
  const below = sorted[Math.floor(at)]!
  const above = sorted[Math.ceil(at)]!
  return below + (above - below) * (at - Math.floor(at))
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((one, other) => one - other)
  return {
    count: sorted.length,
    median: quantile(sorted, 0.5),
    lower: quantile(sorted, 0.25),
    upper: quantile(sorted, 0.75),
    min: quantile(sorted, 0),
    max: quantile(sorted, 1),
  }
}

/** Round by round, so that what slows the whole machine for a while slows both. */
export function ratiosOf(subject: readonly number[], baseline: readonly number[]): readonly number[] {
  if (subject.length !== baseline.length) throw new RangeError('two series of different lengths have no ratios')
  return subject.map((value, index) => value / baseline[index]!)
}

export function isReached(ratio: number, target: Target): boolean {
  return 'atMost' in target ? ratio <= target.atMost : ratio >= target.atLeast
}

export function evaluate({what, subject, baseline, target, note}: Comparison): Row {
  const ratio = baseline && spreadOf(ratiosOf(subject.values, baseline.values))
  return {
    what,
    subject: measured(subject),
    ...(baseline && {baseline: measured(baseline)}),
    ...(ratio && {ratio}),
    ...(target && {target}),
    ...(target && ratio && {verdict: isReached(ratio.median, target) ? 'REACHED' : 'MISSED'}),
    ...(note !== undefined && {note}),
  }
}

function measured({name, unit, values, p99}: Series): Measured {
  return {name, unit, spread: spreadOf(values), ...(p99 && {p99: spreadOf(p99).median})}
}

/**
 * What each subject gave in each round. They take turns, and every other round goes the other way, so that nobody always
 * runs after the same neighbour. The first `warmUps` rounds are not counted.
 */
export async function alternate<T, K extends string>(
  subjects: Readonly<Record<K, (round: number) => Promise<T> | T>>,
  {rounds, warmUps = 1, signal}: {readonly rounds: number; readonly warmUps?: number; readonly signal?: AbortSignal},
): Promise<Record<K, T[]>> {
  const names = Object.keys(subjects) as K[]
  const results = Object.fromEntries(names.map((name) => [name, [] as T[]])) as Record<K, T[]>
  for (let round = -warmUps; round < rounds; round++) {
    const order = round % 2 === 0 ? names : [...names].reverse()
    for (const name of order) {
      signal?.throwIfAborted()
      const result = await subjects[name](round)
      if (round >= 0) results[name].push(result)
    }
  }
  return results
}
