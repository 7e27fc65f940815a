// docs/HOWTO_ADD_A_SYSCALL.md is followed: its family is put into a copy of the sources, which then has it everywhere.

import assert from 'node:assert/strict'
import {cpSync, existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {MACHINE_ABIS} from '../../../src/kernel/abi.js'
import {syscallNumber} from '../../../src/kernel/calls/index.js'
import {PROJECT, programIn, succeed} from '../../helpers/program.js'
import type {Ended} from '../../helpers/program.js'
import {skipUnlessPrograms} from '../../helpers/skip.js'
import {temporaryDirectories} from '../../helpers/temporary.js'

const FIXTURE = join(PROJECT, 'test', 'fixtures', 'records')
const page = readFileSync(join(PROJECT, 'docs', 'HOWTO_ADD_A_SYSCALL.md'), 'utf8')

/** The files of the family by their names, with imports as they are in its folder below src/intercept/families. */
function familyFiles(): ReadonlyMap<string, string> {
  return new Map(
    readdirSync(FIXTURE).map((name) => {
      const text = readFileSync(join(FIXTURE, name), 'utf8')
      return [name, text.replaceAll("'../../../src/intercept/", "'../../").replaceAll("'../../../src/", "'../../../")]
    }),
  )
}

describe('the page on adding a family', () => {
  it('shows the files that are tested', () => {
    const shown = [...page.matchAll(/```ts\n\/\/ (\S+)\n(.*?)```/gsu)].map(([, name, text]) => [name, text?.trim()])
    assert.deepEqual(
      new Map(shown as [string, string][]),
      new Map([...familyFiles()].map(([name, text]) => [`src/intercept/families/records/${name}`, text.trim()])),
    )
  })

  it('names files that exist', () => {
    const named = [...page.matchAll(/`((?:src|test|schemas|docs)\/[^`]+|CHANGELOG\.md)`/gu)].map(
      ([, name = '']) => name,
    )
    assert.ok(named.length > 10)
    assert.deepEqual(
      named.filter((name) => !/NAME|\/records\//.test(name) && !existsSync(join(PROJECT, name))),
      [],
    )
  })
})

describe('a family of two calls that is added to the sources', () => {
  const directories = temporaryDirectories()
  let copy: string

  before(function () {
    this.timeout(120_000)
    copy = directories()
    for (const part of ['src', 'scripts', 'bin', 'man', 'schemas', 'package.json'])
      cpSync(join(PROJECT, part), join(copy, part), {recursive: true})
    for (const part of ['native', 'node_modules']) symlinkSync(join(PROJECT, part), join(copy, part))
    const families = join(copy, 'src', 'intercept', 'families')
    mkdirSync(join(families, 'records'))
    for (const [name, text] of familyFiles()) writeFileSync(join(families, 'records', name), text)
    // All that is touched outside of its folder.
    const list = readFileSync(join(families, 'index.ts'), 'utf8')
    writeFileSync(
      join(families, 'index.ts'),
      list
        .replace(/^import \{schedFamily\}/m, "import {recordsFamily} from './records/index.js'\n$&")
        .replace(/^ {2}schedFamily,/m, '  recordsFamily,\n$&'),
    )
    succeed({cwd: copy}, process.execPath, 'scripts/build.mjs')
    succeed({cwd: copy}, process.execPath, 'scripts/documents.mjs')
  })

  const interceptor = (...words: string[]): Ended =>
    programIn({cwd: copy}, process.execPath, join(copy, 'bin', 'run.js'), ...words)
  const text = (name: string): string => readFileSync(join(copy, name), 'utf8').replaceAll('\\-', '-')

  it('is in the help of every command', () => {
    for (const command of ['run', 'exec', 'explain', 'check'])
      assert.match(interceptor(command, '--help').stdout, /^ {2}--records-line TEXT +a line of the log/m, command)
  })

  it('is in the manual', () => {
    assert.match(text('man/interceptor-run.1'), /^\\fB--records-line\\fP \\fITEXT\\fP\nOne more line of the log/m)
    assert.match(text('man/interceptor.1'), /^\\fB--records\\fP\nThe log and the accounting of the kernel/m)
    assert.match(text('man/interceptor.yaml.5'), /^\\fBrecords-line\\fP: \[\\fITEXT\\fP, \.\.\.\]$/m)
  })

  it('is completed by every shell', () => {
    for (const name of ['interceptor.bash', '_interceptor', 'interceptor.fish'])
      assert.match(text(`completions/${name}`), /records-line/, name)
  })

  it('is in the schema, and in a configuration', () => {
    const schema = JSON.parse(text('schemas/interceptor.schema.json')) as {properties: Record<string, unknown>}
    assert.deepEqual(schema.properties['records'], {
      type: 'boolean',
      description: "show the container records of its own instead of the kernel's",
    })
    writeFileSync(join(copy, 'good.yaml'), 'records-line: [one, two]\n')
    assert.match(interceptor('explain', '--config', 'good.yaml').stdout, /^records: on/m)
    writeFileSync(join(copy, 'wrong.yaml'), 'records: true\nrecords-line: ["\\t"]\n')
    assert.match(
      interceptor('explain', '--config', 'wrong.yaml').stderr,
      /wrong\.yaml:2: records-line: "\\t" is not a line/,
    )
  })

  it('is explained, with the flag that a call needs', () => {
    assert.equal(interceptor('explain', '--records', 'acct(NULL)').status, 0)
    const {status, stdout} = interceptor('explain', '--records', 'syslog(3, 0x1000, 16)')
    assert.equal(status, 1)
    assert.match(stdout, /the container has no log/)
    assert.match(stdout, /--records-line TEXT/)
    assert.match(interceptor('explain', 'acct(NULL)').stdout, /--records/)
  })

  it('is in the filter, as narrow as it says', () => {
    const listing = interceptor('explain', '--records', '--filter').stdout
    for (const name of ['syslog', 'acct']) assert.match(listing, new RegExp(`\\b${name} \\(\\d+\\)`), name)
    const without = interceptor('explain', '--sysinfo', '--filter').stdout
    assert.doesNotMatch(without, /\bacct \(/)
  })

  it('is one of those that exec may narrow', () => {
    const {stderr} = interceptor('exec', '--records-line', 'x', 'nobody', '--', 'true')
    assert.match(stderr, /nobody/)
    assert.doesNotMatch(stderr, /unknown flag/)
  })

  describe('in a container', () => {
    skipUnlessPrograms('perl')

    it('serves with its strategy, as check finds', () => {
      assert.match(
        interceptor('check', '--records').stdout,
        /^ok +records +text: the lines that --records-line gives \(--records\)$/m,
      )
    })

    it('answers, and its calls are logged', () => {
      const [native] = MACHINE_ABIS
      const [syslog, acct] = ['syslog', 'acct'].map((name) => syscallNumber(native!, name)!)
      const script = [
        `$size = syscall(${syslog}, 10, 0, 0);`,
        `$buffer = "." x 32; $read = syscall(${syslog}, 3, $buffer, 32);`,
        `$fault = syscall(${syslog}, 3, 8, 16); $errno = $! + 0;`,
        `$wrong = syscall(${syslog}, 3, $buffer, -1); $invalid = $! + 0;`,
        `$off = syscall(${acct}, 0);`,
        'print "$size $read ", substr($buffer, 0, $read), "$fault $errno $wrong $invalid $off\\n"',
      ].join(' ')
      const log = join(copy, 'log.json')
      const flags = ['--records-line', 'hello', '--log-format', 'json', '--log-file', log]
      const {status, stdout, stderr} = interceptor('run', '--no-config', ...flags, '--', 'perl', '-e', script)
      assert.deepEqual({status, stdout, stderr}, {status: 0, stdout: '9 9 <6>hello\n-1 14 -1 22 0\n', stderr: ''})
      const records = readFileSync(log, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>)
        .filter(({syscall}) => syscall !== undefined)
      assert.deepEqual(
        records.map(({syscall, verdict, strategy}) => [syscall, verdict, strategy]),
        [
          ['syslog', 'emulated', 'text'],
          ['syslog', 'emulated', 'text'],
          ['syslog', 'failed', null],
          ['syslog', 'refused', null],
          ['acct', 'emulated', 'idle'],
        ],
      )
    })
  })
})
