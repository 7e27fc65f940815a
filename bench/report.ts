// Figures as a table for people and as JSON for programs.

import Table from 'cli-table3'

import type {Target, Unit} from './figure.js'
import type {Machine} from './machine.js'
import type {Measured, Row, Spread} from './measure.js'

export interface FigureResult {
  readonly name: string
  readonly title: string
  readonly rows: readonly Row[]
  /** Why there are none. */
  readonly leftOut?: string
  /** Parts that there are none of, each with the reason. */
  readonly leftOutParts?: readonly string[]
  readonly failure?: string
}

export interface Results {
  readonly v: 1
  readonly time: string
  /** Fewer rounds than a full run. */
  readonly isQuick: boolean
  readonly machine: Machine
  readonly figures: readonly FigureResult[]
}

/** One table for each figure, then what was left out and what failed. */
export function tableText({figures}: Pick<Results, 'figures'>): string {
  const measured = figures.filter(({rows}) => rows.length > 0)
  const blocks = measured.map(({name, title, rows, leftOutParts = []}) =>
    [`${name}: ${title}`, table(rows), ...notes(rows), ...leftOutParts.map((part) => `  left out: ${part}`)].join('\n'),
  )
  const leftOut = figures.flatMap((figure) => (figure.leftOut ? [`left out: ${figure.name}: ${figure.leftOut}`] : []))
  const failed = figures.flatMap((figure) => (figure.failure ? [`failed: ${figure.name}: ${figure.failure}`] : []))
  return [...blocks, [...leftOut, ...failed].join('\n')].filter((block) => block !== '').join('\n\n')
}

function table(rows: readonly Row[]): string {
  const drawn = new Table({
    head: ['', 'measured', 'median', 'p99', 'against', 'median', 'p99', 'ratio', 'quartiles', 'target', ''],
    style: {head: [], border: [], compact: true},
    colAligns: ['left', 'left', 'right', 'right', 'left', 'right', 'right', 'right', 'left', 'left', 'left'],
  })
  for (const {what, subject, baseline, ratio, target, verdict} of rows) {
    const cells = [what, ...measuredCells(subject), ...(baseline ? measuredCells(baseline) : ['', '', ''])]
    drawn.push([...cells, ...ratioCells(ratio), target ? targetText(target) : '', verdict ?? ''])
  }
  return drawn.toString()
}

function measuredCells({name, unit, spread, p99}: Measured): readonly string[] {
  return [name, quantityText(spread.median, unit), p99 === undefined ? '' : quantityText(p99, unit)]
}

function ratioCells(ratio: Spread | undefined): readonly string[] {
  if (ratio === undefined) return ['', '']
  const digits = (value: number): string => value.toFixed(value < 0.1 ? 4 : 2)
  return [digits(ratio.median), `${digits(ratio.lower)} - ${digits(ratio.upper)}`]
}

function notes(rows: readonly Row[]): readonly string[] {
  return rows.flatMap(({what, note}) => (note === undefined ? [] : [`  ${what}: ${note}`]))
}

export function targetText(target: Target): string {
  return 'atMost' in target ? `<= ${target.atMost}` : `>= ${target.atLeast}`
}

/** Three digits or four, with a unit in which they can be read. */
export function quantityText(value: number, unit: Unit): string {
  switch (unit) {
    case 'ns':
      return scaled(value, 1000, ['ns', 'us', 'ms', 's'])
    case 's':
      return scaled(value * 1e9, 1000, ['ns', 'us', 'ms', 's'])
    case 'bytes':
      return scaled(value, 1024, ['B', 'KiB', 'MiB', 'GiB'])
    case 'calls/s':
      return `${Math.round(value)}/s`
    case 'descriptors':
      return String(Math.round(value))
    default:
      throw new Error(`unknown unit ${String(unit satisfies never)}`)
  }
}

function scaled(value: number, step: number, units: readonly string[]): string {
  let rest = value
  let index = 0
  while (rest >= step && index < units.length - 1) {
    rest /= step
    index++
  }
  const digits = index === 0 || rest >= 100 ? 0 : rest >= 10 ? 1 : 2
  return `${rest.toFixed(digits)} ${units[index] ?? ''}`
}
