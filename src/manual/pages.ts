// The manual pages: what the tables of the program say, around what was written by hand in man/.

import {commandText} from '../cli/text/command-text.js'
import type {CommandText} from '../cli/text/command-text.js'
import type {CommandName, Flag} from '../flag.js'
import {configurationKeys, flagsOf} from '../cli/flags/index.js'
import type {CommandTable} from '../cli/text/help.js'
import {GROUPS, flagLabel} from '../cli/text/help.js'
import type {AnyFamily} from '../intercept/family.js'
import {bold, example, literal, prose, synopsis, tagged} from './roff.js'

export interface ManualSources {
  readonly version: string
  readonly commands: CommandTable
  readonly families: readonly AnyFamily[]
  /** A hand-written file of man/, by its name; undefined where there is none. */
  readonly part: (name: string) => string | undefined
}

/** By name of the file in man/. */
export function manualPages(sources: ManualSources): Readonly<Record<string, string>> {
  const commands = Object.entries(sources.commands).map(
    ([name, command]) => [name, commandText(name, command)] as const,
  )
  const fill = (name: string): string => fillIn(sources, name, commands)
  return {
    'interceptor.1': fill('interceptor.1.in'),
    ...Object.fromEntries(
      commands.map(([name, text]) => [`interceptor-${name}.1`, commandPage(name as CommandName, text, sources)]),
    ),
    'interceptor.yaml.5': fill('interceptor.yaml.5.in'),
  }
}

/** A line of `@name@` in a hand-written page stands for what the tables say. */
function fillIn(sources: ManualSources, name: string, commands: readonly (readonly [string, CommandText])[]): string {
  const text = sources.part(name)
  if (text === undefined) throw new Error(`man/${name} is missing`)
  const values: Readonly<Record<string, () => string>> = {
    commands: () => commands.map(([command, {summary}]) => commandEntry(command, summary)).join('\n'),
    // One without a flag is on beside the others and answers for them.
    families: () =>
      sources.families
        .filter(({flag}) => flag !== '')
        .map(familyEntry)
        .join('\n'),
    lxd: () => sources.families.flatMap(lxdEntry).join('\n'),
    keys: () => configurationKeys.map(keyEntry).join('\n'),
    pages: () =>
      seeAlso(
        '',
        commands.map(([command]) => command),
      ),
  }
  return text.replaceAll('@version@', literal(sources.version)).replace(/^@(\w+)@$/gm, (_, key: string) => {
    const value = values[key]
    if (value === undefined) throw new Error(`man/${name} asks for @${key}@, which nothing gives`)
    return value()
  })
}

function commandEntry(name: string, summary: string): string {
  return tagged(`.BR interceptor\\-${name} (1)`, [prose(summary)])
}

function familyEntry({flag, summary, strategies, lxdKeys}: AnyFamily): string {
  const ways = strategies.map(({name, summary: what, needs}) => `${bold(name)}: ${prose(what)}; needs ${prose(needs)}.`)
  const keys = lxdKeys.length === 0 ? [] : [`In LXD and Incus: ${lxdKeys.map(bold).join(', ')}.`]
  return tagged(bold(flag), [`${prose(upperFirst(summary))}.`, ...ways, ...keys])
}

function commandPage(name: CommandName, text: CommandText, sources: ManualSources): string {
  const others = Object.keys(sources.commands).filter((other) => other !== name)
  const part = sources.part(`parts/${name}.roff`)?.trimEnd()
  return `${[
    `.TH INTERCEPTOR\\-${name.toUpperCase()} 1 "" "interceptor ${literal(sources.version)}" "User Commands"`,
    // Hyphens that are not there and stretched gaps would spoil what is copied.
    '.nh',
    '.ad l',
    '.SH NAME',
    `interceptor\\-${name} \\- ${prose(lowerFirst(text.summary.replace(/\.$/, '')))}`,
    '.SH SYNOPSIS',
    `\\fBinterceptor\\fP ${synopsis(text.usage)}`,
    '.SH DESCRIPTION',
    text.paragraphs.map(prose).join('\n.PP\n'),
    '.SH OPTIONS',
    ...options(flagsOf(name)),
    ...(part === undefined ? [] : [part]),
    '.SH EXAMPLES',
    ...text.examples.flatMap(({description, command}) => ['.PP', `${prose(description)}:`, example(command)]),
    '.SH SEE ALSO',
    seeAlso('interceptor (1)', others),
  ].join('\n')}\n`
}

function options(known: readonly Flag[]): string[] {
  const help = tagged(synopsisOfFlag({name: 'help', char: 'h', kind: 'switch'}), ['Shows a short help.'])
  return [
    ...GROUPS.flatMap((group) => {
      const own = known.filter((flag) => flag.group === group)
      return own.length === 0 ? [] : [`.SS ${group}`, ...own.map(flagEntry)]
    }),
    '.SS Help',
    help,
  ]
}

function flagEntry(flag: Flag): string {
  return tagged(synopsisOfFlag(flag), [prose(flag.description)])
}

function synopsisOfFlag(flag: Pick<Flag, 'char' | 'kind' | 'name' | 'placeholder'>): string {
  const {placeholder, ...typed} = flag
  const value = placeholder === undefined ? '' : ` ${placeholderOf(placeholder)}`
  return `${flagLabel(typed).split(', ').map(bold).join(', ')}${value}`
}

function placeholderOf(text: string): string {
  return text
    .split(/([A-Z][A-Z_]*)/)
    .map((part, index) => (index % 2 === 1 ? `\\fI${part}\\fP` : literal(part)))
    .join('')
}

/** The keys of LXD and Incus for one family; those behind the first one count while that one switches it on. */
function lxdEntry({policy: {lxd}}: AnyFamily): readonly string[] {
  if (lxd === undefined) return []
  const {switch: first, others = []} = lxd
  const keys = [first, ...others].map(({key}) => bold(key)).join(', ')
  const flags = [first, ...others].flatMap(({flag}) => flag ?? []).map(({name}) => `--${name}`)
  const on = first.words === undefined ? 'on' : `\`${first.words.on}\``
  const rest = others.length === 0 ? '' : ` What follows the first key counts where that is ${on}.`
  return [tagged(keys, [prose(`As ${flags.join(', ')}.${rest}`)])]
}

/** A key of a configuration file, in the words of its flag. */
function keyEntry(flag: Flag): string {
  return tagged(`${bold(flag.name)}: ${placeholderOf(valueOf(flag))}`, [prose(keyDescription(flag))])
}

/** A list says by its form that there may be several. */
function keyDescription({description, kind}: Flag): string {
  return kind === 'list'
    ? description.replace(' May be repeated.', '').replace('May be repeated; replaces', 'They replace')
    : description
}

function valueOf({kind, placeholder = 'VALUE'}: Flag): string {
  if (kind === 'value') return placeholder
  return kind === 'switch' ? 'true' : `[${placeholder.replace(/\[,.*$/, '')}, ...]`
}

function seeAlso(first: string, commands: readonly string[]): string {
  const pages = [
    ...(first === '' ? [] : [first]),
    ...commands.map((name) => `interceptor\\-${name} (1)`),
    ...(first === '' ? [] : ['interceptor.yaml (5)']),
    'strace (1)',
    'user_namespaces (7)',
    'seccomp_unotify (2)',
  ]
  return pages.map((page, index) => `.BR ${page}${index === pages.length - 1 ? '' : ' ,'}`).join('\n')
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1)
}

function upperFirst(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
