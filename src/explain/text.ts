// What explain prints for people. Lines without their newline; nothing of it is colour alone.

import {escapeBytes} from '../intercept/caller/escape.js'
import type {CallerFacts} from '../intercept/family.js'
import {showAction} from '../intercept/filter/disassemble.js'
import type {FlagHint} from '../intercept/hint.js'
import {errnoName} from '../kernel/errno.js'
import {quoteFlag} from '../render/closing.js'
import {printable} from '../render/printable.js'
import type {Advised} from './advise.js'
import type {FileReport, JudgedCall} from './files.js'
import type {FamilyOverview, Overview} from './overview.js'

const WIDTH = 100

/** As a shell reads them. */
export function showFlags(flags: readonly FlagHint[]): string {
  return flags.map(quoteFlag).join(' ')
}

export function showOutcome({outcome, by, errno}: Pick<Advised, 'by' | 'errno' | 'outcome'>): string {
  switch (outcome) {
    case 'performed':
      return 'performed'
    case 'continued':
      return 'continued'
    case 'kernel':
      return 'left to the kernel'
    case 'unknown':
      return 'unknown'
    case 'refused':
      return `refused by the ${by ?? 'policy'}${errno === undefined ? '' : ` (-1 ${errnoName(errno)})`}`
  }
}

function showCaller({uid, effective}: CallerFacts): string {
  if (effective === 0n) return `user ${uid} of the container without capabilities`
  return 'root of the container with all capabilities'
}

function row(label: string, text: string): string {
  return `  ${label.padEnd(9)}${printable(text)}`
}

/** Words behind a label, wrapped, with the label on the first line alone. */
function wrapped(label: string, words: readonly string[], separator = ' '): string[] {
  const lines: string[] = []
  for (const word of words) {
    const last = lines.at(-1)
    if (last === undefined || last.length + separator.length + word.length > WIDTH - 11) lines.push(word)
    else lines[lines.length - 1] = `${last}${separator}${word}`
  }
  return lines.map((line, index) => row(index === 0 ? label : '', line))
}

/** Everything about one call: filter, policy, answer, flag. `caller`: whose call it is. */
export function callLines(judged: Advised, text: string, caller: CallerFacts): string[] {
  const {filter, family, rules, reason, advice, outcome} = judged
  const lines = [judged.shown ?? printable(text)]
  if (filter !== undefined) {
    const tests = filter.tests.map((test) => `${test.text}: ${test.holds ? 'yes' : 'no'}`)
    const which = filter.action.kind === 'allow' ? 'both filters' : `the ${filter.program} filter`
    lines.push(row('filter', `${showAction(filter.action)}, by ${which} on ${judged.abi}`))
    lines.push(...wrapped('', tests, '; '))
  }
  if (family !== undefined && filter?.action.kind === 'notify') {
    lines.push(row('policy', `${family}, for ${showCaller(caller)}`))
    for (const member of new Set(rules.map((rule) => rule.member))) {
      const entries = rules
        .filter((rule) => rule.member === member)
        .map(({entry, allows}) => (allows === undefined ? entry : `${entry} ${allows ? 'allows it' : 'no'}`))
      lines.push(
        ...wrapped('', [`${member}:`, ...entries.map((entry, at) => `${entry}${at < entries.length - 1 ? ',' : ''}`)]),
      )
    }
  }
  lines.push(row('answer', `${showOutcome(judged)}: ${reason}`))
  if (advice.length > 0) lines.push(row('flag', `${showFlags(advice)} would have it performed`))
  else if (outcome === 'refused') lines.push(row('flag', 'no flag changes this'))
  return lines
}

/** One line for a call of a file. */
export function fileLine(judged: JudgedCall): string {
  const where = `${judged.line}:${judged.pid === undefined ? '' : ` [${judged.pid}]`}`
  const call = judged.shown ?? escapeCall(judged.text)
  const would = judged.outcome === 'refused' ? 'would allow it' : 'would have it performed'
  const flag = judged.advice.length === 0 ? '' : `; ${showFlags(judged.advice)} ${would}`
  return `${where} ${call}  ${showOutcome(judged)}: ${printable(judged.reason)}${flag}`
}

/** The call as the file has it, up to its result, without what could move a cursor. */
function escapeCall(text: string): string {
  const cut = text.length > 200 ? `${text.slice(0, 200)}...` : text
  return escapeBytes(Buffer.from(cut, 'latin1')).replaceAll('\\"', '"').replaceAll('\\\\', '\\')
}

export function fileReportLines(report: FileReport): string[] {
  const {refused, flags, allowed, counts, untouched} = report
  const optional =
    report.optional.length === 0
      ? []
      : ['', `Optional, for what the kernel answers by itself otherwise: ${showFlags(report.optional)}`]
  const judged = Object.entries(counts).map(
    ([outcome, calls]) => `${calls} ${outcome === 'kernel' ? 'left to the kernel' : outcome}`,
  )
  const lines = ['', `${[...judged, `${untouched} never intercepted`].join(', ')}.`, ...unjudgedLines(report)]
  if (refused.length === 0) return [...lines, 'interceptor would refuse none of the calls that it judges.', ...optional]
  const rows = refused.map(({calls, syscall, reason, advice}) => [
    String(calls),
    syscall,
    printable(reason),
    advice.length === 0 ? '-' : showFlags(advice),
  ])
  lines.push('', ...table([['calls', 'syscall', 'refused because', 'flag'], ...rows]))
  const total = refused.reduce((sum, {calls}) => sum + calls, 0)
  if (flags.length > 0)
    lines.push(
      '',
      `${allowed === total ? 'All' : `${allowed} of ${total}`} would be performed with: ${showFlags(flags)}`,
    )
  if (allowed < total) lines.push('', `${total - allowed} of ${total} can be allowed by no flag.`)
  return [...lines, ...optional]
}

/** What the verdicts leave open. */
function unjudgedLines({counts, untouched, unreadable}: FileReport): string[] {
  const [kernel, unknown] = [untouched + (counts['kernel'] ?? 0) + (counts['continued'] ?? 0), counts['unknown'] ?? 0]
  return [
    ...(kernel > 0 ? [`Left to the kernel, which may refuse them to a container: ${kernel}.`] : []),
    ...(unknown > 0 ? [`Unknown, for the reason that the line of each gives: ${unknown}.`] : []),
    ...(unreadable > 0 ? [`Lines that could not be read: ${unreadable}.`] : []),
  ]
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)))
  return rows.map((cells) =>
    cells
      .map((cell, column) => (column === 0 ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)))
      .join('  ')
      .trimEnd(),
  )
}

export function overviewLines({families, filters}: Overview): string[] {
  const [on, off] = [true, false].map((state) => families.filter(({enabled}) => enabled === state))
  const lines = [
    ...on!.flatMap((family) => [...familyLines(family), '']),
    ...off!.flatMap(familyLines),
    ...(off!.length > 0 ? [''] : []),
  ]
  for (const {name, instructions, passing} of filters) {
    lines.push(
      `The ${name} filter has ${instructions} instructions; a call that passes runs ${passing.average} of them on average, ${passing.most} at most.`,
    )
  }
  if (!families.some(({flag, enabled}) => enabled && flag !== ''))
    lines.push('Nothing is performed for the container: no flag and no configuration file switches a family on.')
  return lines
}

function familyLines(family: FamilyOverview): string[] {
  const {name, summary, flag, enabled, lxdKeys, strategies, policy, calls} = family
  if (!enabled) return [`${name}: off (${flag}: ${summary})`]
  const lines = [`${name}: on (${flag === '' ? '' : `${flag}: `}${summary})`]
  const direct = calls.filter(({followUp}) => !followUp)
  for (const {name: call, condition, abis, lane} of direct) {
    lines.push(row('notifies', `${call}${lane === 'slow' ? ', which may block,' : ''} on ${abis.join(', ')}`))
    for (const [index, group] of condition.entries()) lines.push(row('', `  ${index === 0 ? 'when' : 'or'} ${group}`))
    if (condition.length === 0) lines.push(row('', '  every call'))
  }
  const followUps = calls.filter(({followUp}) => followUp).map((call) => call.name)
  if (followUps.length > 0) lines.push(...wrapped('also', ['once something was emulated:', ...followUps]))
  for (const {member, entries} of policy) lines.push(...wrapped('policy', [`${member}:`, ...entries]))
  for (const [index, {name: strategy, summary: what, needs}] of strategies.entries()) {
    lines.push(...wrapped(index === 0 ? 'performs' : '', `${strategy}: ${what}; needs ${needs}`.split(' ')))
  }
  lines.push(...wrapped('costs', costWords(family)))
  lines.push(...wrapped('LXD key', lxdKeys))
  return lines
}

function costWords({calls, cost}: FamilyOverview): readonly string[] {
  if (cost === undefined) return []
  const lanes = new Set(calls.map(({lane}) => lane))
  const waits =
    lanes.has('slow') || lanes.has('handler')
      ? 'a call that is notified waits for a worker of its own, and no other call waits for it'
      : 'a call that is notified waits for one round trip to the supervisor'
  const passing = cost.passing > 0 ? `, ${cost.passing} more for each call that passes` : ''
  return `${cost.instructions} instructions of the notify filter${passing}; ${waits}`.split(' ')
}
