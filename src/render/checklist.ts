// What check found, as plain lines or JSON, and a list of what is being done while a person waits.

import type {CheckPlan, CheckResult, FamilyFinding, Finding} from '../intercept/finding.js'
import {printable} from './printable.js'
import type {Style} from './style.js'

const MARKS = {good: 'ok', limited: 'limited', missing: 'missing'} as const
const NAME_WIDTH = 18

/** Without its newline. */
export function findingLine(finding: Finding, style: Style): string {
  const {name, state, text} = finding
  const paint = {good: style.emulated, limited: style.failed, missing: style.refused}[state]
  return `${paint(MARKS[state].padEnd(8))}${name.padEnd(NAME_WIDTH)}${printable(told(finding, text))}`
}

/** Plain text of everything, one line for each finding and for each piece of advice. */
export function checkText(result: CheckResult, style: Style): string {
  const lines = [...result.findings, ...result.families].flatMap((finding) => [
    findingLine(finding, style),
    ...finding.advice.map((advice) => adviceLine(advice, style)),
  ])
  return [...lines, ...verdictLines(result, style), ''].join('\n')
}

function verdictLines({lacking, rootless}: CheckResult, style: Style): readonly string[] {
  if (lacking.length === 0) return []
  const who = rootless ? 'without root' : 'here'
  return [style.strong(`${lacking.join(', ')} cannot work ${who}`)]
}

export function checkJson(result: CheckResult): string {
  return `${JSON.stringify({v: 1, good: result.lacking.length === 0, ...result}, null, 2)}\n`
}

/** Does the tasks; where `live`, a list on standard error shows how far it is, and is gone at the end. */
export async function doTasks({tasks}: CheckPlan, live: boolean): Promise<readonly Finding[]> {
  const found: Finding[] = []
  if (!live) {
    for (const task of tasks) found.push(...(await task.find()))
    return found
  }
  const {Listr, ListrLogger, ProcessOutput} = await import('listr2')
  const logger = new ListrLogger({processOutput: new ProcessOutput(process.stderr, process.stderr)})
  const list = new Listr(
    tasks.map(({title, find}) => ({
      title,
      task: async () => {
        found.push(...(await find()))
      },
    })),
    {
      concurrent: false,
      // It would end the process by itself, and nothing of ours would be cleaned up.
      registerSignalListeners: false,
      renderer: 'default',
      // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- listr2 declares it for its own levels
      rendererOptions: {clearOutput: true, logger},
    },
  )
  await list.run()
  return found
}

function adviceLine(advice: string, style: Style): string {
  return style.faint(`${''.padEnd(8 + NAME_WIDTH)}${printable(advice)}`)
}

function told(finding: Finding, text: string): string {
  if (!('flag' in finding)) return text
  const {strategy, asked, flag} = finding as FamilyFinding
  const own = strategy === undefined ? text : `${strategy}: ${text}`
  return asked ? `${own} (${flag})` : own
}
