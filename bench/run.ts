// `npm run bench [-- NAME... --json FILE --quick --list]`: measures figures, prints a table, writes JSON.

import {writeFileSync} from 'node:fs'
import {parseArgs} from 'node:util'

import {FigureContext} from './context.js'
import {BenchError, UsageError, describe} from './errors.js'
import type {Figure} from './figure.js'
import {FIGURES} from './figures/index.js'
import {describeMachine, loadWarning, machineLines} from './machine.js'
import {evaluate} from './measure.js'
import {missing} from './needs.js'
import {tableText} from './report.js'
import type {FigureResult, Results} from './report.js'
import {buildPrograms} from './subjects/programs.js'

const USAGE = `usage: npm run bench [-- [NAME...] [--quick] [--json FILE] [--list]]

  NAME         measure these figures alone
  --quick      fewer rounds: for a look, not for a claim
  --json FILE  write everything that was measured to FILE
  --list       list the figures, and which can't be measured here`

interface CommandLine {
  readonly figures: readonly Figure[]
  readonly json: string | undefined
  readonly isQuick: boolean
  readonly isList: boolean
  readonly isHelp: boolean
}

function parse(words: readonly string[]): CommandLine {
  const boolean = {type: 'boolean', default: false} as const
  try {
    const {values, positionals} = parseArgs({
      args: [...words],
      allowPositionals: true,
      options: {help: {...boolean, short: 'h'}, json: {type: 'string'}, list: boolean, quick: boolean},
    })
    const {help, json, list, quick} = values
    const figures = positionals.length === 0 ? FIGURES : positionals.map(find)
    return {figures, json, isQuick: quick, isList: list, isHelp: help}
  } catch (error) {
    if (error instanceof BenchError) throw error
    throw new UsageError('cannot understand the command line', {cause: error})
  }
}

function find(name: string): Figure {
  const figure = FIGURES.find((one) => one.name === name)
  if (figure !== undefined) return figure
  throw new UsageError(`cannot find figure ${name}: there are ${FIGURES.map((one) => one.name).join(', ')}`)
}

function list(figures: readonly Figure[]): void {
  const width = Math.max(...figures.map(({name}) => name.length))
  for (const figure of figures) {
    const reason = missing(figure.needs)
    console.log(`${figure.name.padEnd(width)}  ${figure.title}${reason === undefined ? '' : ` (left out: ${reason})`}`)
  }
}

async function measure(figure: Figure, isQuick: boolean, signal: AbortSignal): Promise<FigureResult> {
  const {name, title} = figure
  const leftOut = missing(figure.needs)
  if (leftOut !== undefined) return {name, title, rows: [], leftOut}
  const context = new FigureContext(isQuick, signal, (text) => console.error(`bench: ${name}: ${text}`))
  try {
    context.say(title)
    try {
      const comparisons = await figure.run(context)
      const {leftOut: leftOutParts} = context
      return {name, title, rows: comparisons.map(evaluate), ...(leftOutParts.length > 0 && {leftOutParts})}
    } finally {
      await context.close()
    }
  } catch (error) {
    signal.throwIfAborted()
    return {name, title, rows: [], failure: describe(error)}
  }
}

/** A signal ends what is being measured; what is there already is shown, and then we die of it. */
function followSignals(): {readonly signal: AbortSignal; readonly received: () => NodeJS.Signals | undefined} {
  const controller = new AbortController()
  let received: NodeJS.Signals | undefined
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(name, () => {
      received ??= name
      controller.abort(new BenchError(`cannot go on: ${name}`))
    })
  }
  return {signal: controller.signal, received: () => received}
}

async function main(words: readonly string[]): Promise<number> {
  const {figures, json, isQuick, isList, isHelp} = parse(words)
  if (isHelp) console.log(USAGE)
  if (isList) list(figures)
  if (isHelp || isList) return 0
  const machine = describeMachine()
  for (const line of machineLines(machine)) console.log(line)
  const warning = loadWarning(machine)
  if (warning !== undefined) console.log(warning)
  if (isQuick) console.log('bench: quick: fewer rounds than a full run')
  buildPrograms()
  const {signal, received} = followSignals()
  const results: FigureResult[] = []
  const time = new Date().toISOString()
  try {
    for (const figure of figures) {
      const result = await measure(figure, isQuick, signal)
      results.push(result)
      console.log(`\n${tableText({figures: [result]})}`)
    }
  } catch (error) {
    const name = received()
    if (name === undefined) throw error
    process.kill(process.pid, name)
  }
  const all: Results = {v: 1, time, isQuick, machine, figures: results}
  if (json !== undefined) writeJson(json, all)
  return results.some(({failure}) => failure !== undefined) ? 1 : 0
}

function writeJson(file: string, results: Results): void {
  try {
    writeFileSync(file, `${JSON.stringify(results, undefined, 2)}\n`)
  } catch (error) {
    throw new BenchError(`cannot write ${file}`, {cause: error})
  }
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  console.error(`bench: ${describe(error)}`)
  if (error instanceof UsageError) console.error(`hint: see npm run bench -- --help`)
  process.exitCode = error instanceof UsageError ? 2 : 1
}
