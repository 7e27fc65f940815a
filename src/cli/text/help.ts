// What --help prints: the flags of a command in the order and groups of our tables, for a terminal of any width.

import type {Command} from '@oclif/core'

import type {CommandExample} from './command-text.js'
import {commandText} from './command-text.js'
import type {CommandName, Flag, FlagGroup} from '../../flag.js'
import {flagsOf} from '../flags/index.js'

export type CommandTable = Readonly<Record<string, Command.Class>>

const DEFAULT_WIDTH = 80
const NARROWEST = 30
/** Longer lines are hard to read. */
const WIDEST = 100
/** Where summaries begin; a longer name has its summary below. */
const SUMMARY_COLUMN = 28
/** Narrower than this, every summary stands below its name. */
const TWO_COLUMNS_FROM = 60

export const GROUPS: readonly FlagGroup[] = ['Interception', 'Container', 'Output', 'Configuration']

const helpFlag: Pick<Flag, 'char' | 'kind' | 'name' | 'summary'> = {
  name: 'help',
  char: 'h',
  kind: 'switch',
  summary: 'show this help',
}

const programExamples: readonly CommandExample[] = [
  {
    description: 'Make a Debian tree without root',
    command: 'interceptor run --mknod --sysinfo -- debootstrap --variant=minbase bookworm rootfs',
  },
  {
    description: 'Ask what a policy does with a call',
    command: `interceptor explain --mknod 'mknod("/dev/sda", S_IFBLK|0660, makedev(8, 0))'`,
  },
]

/** Columns of the terminal, or 80 where there is none. */
export function widthOf(columns: number | undefined): number {
  return Math.min(WIDEST, Math.max(NARROWEST, columns === undefined || columns <= 0 ? DEFAULT_WIDTH : columns))
}

export function programHelp(commands: CommandTable, width: number): string {
  const entries = Object.entries(commands).map(([name, command]) => [name, commandText(name, command).summary] as const)
  return blocks([
    wrap(
      'Runs one command in an unprivileged container and performs the privileged system calls that you allow.',
      width,
    ),
    section('Usage', ['  $ interceptor COMMAND [FLAGS] ...']),
    section(
      'Commands',
      entries.flatMap(([name, summary]) => entry(name, summary, width, 12)),
    ),
    section('Examples', examples(programExamples, width)),
    section('Flags', [
      ...entry('-h, --help', 'show this help, or that of a command: interceptor COMMAND --help', width, 14),
      ...entry('--version', 'show the version', width, 14),
    ]),
    wrap('The manual: man interceptor, and interceptor-COMMAND(1), interceptor.yaml(5).', width),
  ])
}

export function commandHelp(name: string, command: Command.Class, width: number): string {
  const {summary, usage, paragraphs, examples: shown} = commandText(name, command)
  const known = flagsOf(name as CommandName)
  const groups = GROUPS.map((group) => [group, known.filter((flag) => flag.group === group)] as const)
  return blocks([
    wrap(summary, width),
    section('Usage', [`  $ interceptor ${usage}`]),
    ...paragraphs.map((paragraph) => wrap(paragraph, width)),
    ...(shown.length === 0 ? [] : [section('Examples', examples(shown, width))]),
    ...groups
      .filter(([, flags]) => flags.length > 0)
      .map(([group, flags]) =>
        section(
          group,
          flags.flatMap((flag) => flagEntry(flag, width)),
        ),
      ),
    section('Help', flagEntry(helpFlag, width)),
  ])
}

/** `-q, --quiet`, `--memory SIZE`, `--mount-allowed FS[,FS]`: as it is typed. */
export function flagLabel(flag: Pick<Flag, 'char' | 'kind' | 'name' | 'placeholder'>): string {
  const short = flag.char === undefined ? '' : `-${flag.char}, `
  return `${short}--${flag.name}${flag.placeholder === undefined ? '' : ` ${flag.placeholder}`}`
}

function flagEntry(flag: Pick<Flag, 'char' | 'kind' | 'name' | 'placeholder' | 'summary'>, width: number): string[] {
  const repeatable = flag.kind === 'list' ? ' (repeatable)' : ''
  return entry(flagLabel(flag), `${flag.summary}${repeatable}`, width, SUMMARY_COLUMN)
}

/** Name and summary side by side, or below each other where there is no room. */
function entry(name: string, summary: string, width: number, column: number): string[] {
  const narrow = width < TWO_COLUMNS_FROM
  const indent = narrow ? 6 : column
  const lines = wrap(summary, width - indent).map((line) => `${' '.repeat(indent)}${line}`)
  const head = `  ${name}`
  const [first = '', ...rest] = lines
  const fits = !narrow && head.length + 2 <= column
  return fits ? [`${head.padEnd(column)}${first.trimStart()}`, ...rest] : [head, ...lines]
}

/** Commands are never broken, so that they can be copied. */
function examples(shown: readonly CommandExample[], width: number): string[] {
  return shown.flatMap(({description, command}, index) => [
    ...(index === 0 ? [] : ['']),
    ...wrap(description, width - 2).map((line) => `  ${line}`),
    `    $ ${command}`,
  ])
}

function section(title: string, lines: readonly string[]): string[] {
  return [`${title}:`, ...lines]
}

function blocks(parts: readonly (readonly string[])[]): string {
  return `${parts.map((lines) => lines.join('\n')).join('\n\n')}\n`
}

/** A word that is longer than a line keeps a line of its own. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(/\s+/).filter((part) => part !== '')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line += line === '' ? word : ` ${word}`
  }
  return line === '' ? lines : [...lines, line]
}
