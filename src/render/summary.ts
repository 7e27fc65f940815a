// What happened to how many calls: counted as decisions pass, shown as a table at the end, as `strace -c` does.

import type {CountedDecision, Outcome} from '../intercept/decision.js'
import {printableUpTo} from './printable.js'

export interface Counts {
  readonly emulated: number
  readonly refused: number
  readonly failed: number
  readonly continued: number
  /** Continued without a line of their own. */
  readonly quiet: number
}

interface Row extends Record<Outcome, number> {
  quiet: number
  latencySumUs: number
  latencyMaxUs: number
}

/** A hostile container can't make this grow: names come from the registry, and the rest is counted together. */
const rowsMax = 512

export class Tally {
  readonly #rows = new Map<string, Row>()

  add({latencyUs, outcome, syscall}: CountedDecision): void {
    const row = this.#row(syscall)
    row[outcome] += 1
    row.latencySumUs += latencyUs
    row.latencyMaxUs = Math.max(row.latencyMaxUs, latencyUs)
  }

  addQuiet(syscall: string, count: number): void {
    this.#row(syscall).quiet += count
  }

  get counts(): Counts {
    const counts = {emulated: 0, refused: 0, failed: 0, continued: 0, quiet: 0}
    for (const row of this.#rows.values()) {
      for (const key of Object.keys(counts) as (keyof Counts)[]) counts[key] += row[key]
    }
    return counts
  }

  /** One line for each call, the most frequent first, and a line of sums. */
  async table(): Promise<string> {
    if (this.#rows.size === 0) return 'no calls were intercepted\n'
    // Loaded here: a run without --summary starts without it.
    const {default: Table} = await import('cli-table3')
    const heads = [
      'calls',
      'emulated',
      'refused',
      'failed',
      'continued',
      'quiet',
      'errors',
      'mean us',
      'max us',
      'syscall',
    ]
    const table = new Table({
      head: heads,
      chars: blankChars,
      colAligns: heads.map((head) => (head === 'syscall' ? 'left' : 'right')),
      // Without colours: cli-table3 would load a package that looks at process.stdout.
      style: {head: [], border: [], 'padding-left': 0, 'padding-right': 2},
    })
    const rows = [...this.#rows].sort(([a, x], [b, y]) => callsOf(y) - callsOf(x) || a.localeCompare(b))
    for (const [name, row] of rows) table.push(cells(printableUpTo(name, 64), row))
    if (rows.length > 1) table.push(cells('total', sumOf(rows.map(([, row]) => row))))
    return `${table
      .toString()
      .split('\n')
      .map((line) => line.trimEnd())
      .join('\n')}\n`
  }

  #row(syscall: string): Row {
    const name = this.#rows.has(syscall) || this.#rows.size < rowsMax ? syscall : 'others'
    let row = this.#rows.get(name)
    if (row === undefined) {
      row = emptyRow()
      this.#rows.set(name, row)
    }
    return row
  }
}

const blankChars = Object.fromEntries(
  ['top', 'bottom', 'left', 'right', 'mid'].flatMap((side) => [
    [side, ''],
    [`${side}-mid`, ''],
    [`${side}-left`, ''],
    [`${side}-right`, ''],
  ]),
)
blankChars['middle'] = ''

function emptyRow(): Row {
  return {emulated: 0, refused: 0, failed: 0, continued: 0, quiet: 0, latencySumUs: 0, latencyMaxUs: 0}
}

function sumOf(rows: readonly Row[]): Row {
  const sum = emptyRow()
  for (const row of rows) {
    for (const key of Object.keys(sum) as (keyof Row)[]) sum[key] += row[key]
  }
  sum.latencyMaxUs = Math.max(...rows.map(({latencyMaxUs}) => latencyMaxUs))
  return sum
}

function callsOf(row: Row): number {
  return decided(row) + row.quiet
}

function decided({continued, emulated, failed, refused}: Row): number {
  return continued + emulated + failed + refused
}

function cells(name: string, row: Row): string[] {
  const timed = decided(row)
  return [
    callsOf(row),
    row.emulated,
    row.refused,
    row.failed,
    row.continued,
    row.quiet,
    row.refused + row.failed,
    timed === 0 ? '' : (row.latencySumUs / timed).toFixed(1),
    timed === 0 ? '' : row.latencyMaxUs.toFixed(1),
    name,
  ].map(String)
}
