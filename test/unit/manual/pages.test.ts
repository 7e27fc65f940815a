import assert from 'node:assert/strict'
import {readFileSync, readdirSync} from 'node:fs'
import {join} from 'node:path'

import type {CommandName} from '../../../src/flag.js'
import {configurationKeys, flags, flagsOf} from '../../../src/cli/flags/index.js'
import {commandHelp, programHelp, widthOf} from '../../../src/cli/text/help.js'
import {COMMANDS} from '../../../src/commands/index.js'
import {FAMILIES} from '../../../src/intercept/families/index.js'
import {documents} from '../../../src/manual/documents.js'
import {PROJECT} from '../../helpers/program.js'

const made = documents()
const pages = Object.entries(made).filter(([name]) => name.startsWith('man/'))
/** As it is read: hyphens that may be copied are hyphens, and fonts do not matter. */
const read = (roff: string): string => roff.replaceAll('\\-', '-').replace(/\\f[BIPR]/g, '')
const page = (name: string): string => read(made[`man/${name}`] ?? '')
const names = Object.keys(COMMANDS) as CommandName[]

/** Flags of other programs, in examples and where we start them; `flag` and `flags` stand for any of ours. */
const FOREIGN = (
  'add-subgids add-subuids check decompress flag flags force grep ignore-scripts memlimit-decompress scope ' +
  'security-opt semi-space-growth-factor single-stream stdout variant'
).split(' ')

/** Code, in which a comment may name a flag too. */
function sources(): readonly string[] {
  return readdirSync(join(PROJECT, 'src'), {recursive: true, encoding: 'utf8'})
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join('src', name))
}

describe('the manual', () => {
  it('has a page for the program, each command and the configuration, which the package names', () => {
    const expected = ['interceptor.1', ...names.map((name) => `interceptor-${name}.1`), 'interceptor.yaml.5']
    assert.deepEqual(pages.map(([name]) => name.replace('man/', '')).sort(), expected.sort())
    const {man} = JSON.parse(readFileSync(join(PROJECT, 'package.json'), 'utf8')) as {man: readonly string[]}
    assert.deepEqual([...man].sort(), expected.map((name) => `./man/${name}`).sort())
  })

  for (const name of names) {
    it(`names exactly the flags of ${name}, each with its description`, () => {
      const options = /\n\.SH OPTIONS\n(.*?)\n\.SH /s.exec(page(`interceptor-${name}.1`))?.[1] ?? ''
      const tags = [...options.matchAll(/^\.TP\n(?:-\w, )?--([\w-]+)(?: (.*))?$/gm)]
      assert.deepEqual(
        tags.map(([, flag, value]) => [flag, value]).sort(),
        [...flagsOf(name).map((flag) => [flag.name, flag.placeholder]), ['help', undefined]].sort(),
      )
      const plain = options
        .replaceAll('\\(dq', '"')
        .replaceAll('\\(aq', "'")
        .replaceAll('\\e', '\\')
        .replaceAll('\\&', '')
      for (const {name: flag, description} of flagsOf(name)) {
        assert.ok(plain.includes(description.replaceAll('`', '').slice(0, 40)), flag)
      }
    })
  }

  it('names every family with its flag and its ways', () => {
    assert.doesNotMatch(page('interceptor.1'), /^\.TP\n\s*\n/m)
    for (const {flag, strategies, lxdKeys} of FAMILIES.filter((family) => family.flag !== '')) {
      assert.match(page('interceptor.1'), new RegExp(`^\\.TP\n${flag}$`, 'm'))
      for (const text of [flag, ...strategies.map(({name}) => `${name}: `), ...lxdKeys]) {
        assert.ok(page('interceptor.1').includes(text), text)
      }
    }
  })

  it('names every key of the configuration', () => {
    const missing = configurationKeys.filter(({name}) => !page('interceptor.yaml.5').includes(`\n${name}: `))
    assert.deepEqual(missing, [])
    const lxd = FAMILIES.flatMap(({lxdKeys}) => lxdKeys).filter((key) => !page('interceptor.yaml.5').includes(key))
    assert.deepEqual(lxd, [])
    assert.doesNotMatch(page('interceptor.yaml.5'), /May be repeated|: VALUE$|FS\[/m)
  })

  it('names no flag that there is not, nor does a message', () => {
    const known = new Set([...flags.map(({name}) => name), 'help', 'version', ...FOREIGN])
    const written = ['README.md', 'SECURITY.md', ...sources()]
    const files = [
      ...pages.map(([name, text]) => [name, read(text)] as const),
      ...written.map((name) => [name, readFileSync(join(PROJECT, name), 'utf8')] as const),
    ]
    const named = files.flatMap(([name, text]) =>
      // Not where code counts down.
      [...text.matchAll(/(?<![\w-])--([a-z][\w-]*)(?![\w-]|\.#| ===)/g)].map(([, flag]) => [name, flag ?? ''] as const),
    )
    assert.deepEqual(
      named.filter(([, flag]) => !known.has(flag)),
      [],
    )
  })
})

describe('help', () => {
  it('shows the flags of a command in the order of its groups', () => {
    const help = commandHelp('run', COMMANDS['run']!, 80)
    const groups = [...help.matchAll(/^(\w+):$/gm)].map(([, group]) => group)
    const expected = ['Usage', 'Examples', 'Interception', 'Container', 'Output', 'Configuration', 'Help']
    assert.deepEqual(groups, expected)
    const shown = [...help.matchAll(/^ {2}(?:-\w, )?--([\w-]+)/gm)].map(([, flag]) => flag)
    const inOrder = expected.flatMap((group) => flagsOf('run').filter((flag) => flag.group === group))
    assert.deepEqual(shown, [...inOrder.map(({name}) => name), 'help'])
  })

  it('has an example for each command', () => {
    for (const name of names) {
      assert.match(commandHelp(name, COMMANDS[name]!, 80), new RegExp(`^    \\$ interceptor ${name} `, 'm'))
    }
  })

  for (const width of [30, 47, 60, 80, 100]) {
    it(`fits into ${width} columns, but for commands to copy`, () => {
      const texts = [programHelp(COMMANDS, width), ...names.map((name) => commandHelp(name, COMMANDS[name]!, width))]
      const long = texts.flatMap((text) => text.split('\n')).filter((line) => line.length > width)
      // A name or word that is longer than the line stands alone on it.
      assert.deepEqual(
        long.filter((line) => !/^ +\$ /.test(line) && /\S {2,}\S|\S+ \S+ \S/.test(line.trim())),
        [],
      )
    })
  }

  it('is as wide as the terminal, within reason', () => {
    assert.deepEqual([undefined, 0, 10, 72, 500].map(widthOf), [80, 80, 30, 72, 100])
  })
})
