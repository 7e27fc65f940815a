// Every rule on imports can fail: a tree that breaks each of them once, as `npm run lint` looks at it.

import assert from 'node:assert/strict'
import {mkdirSync, symlinkSync, writeFileSync} from 'node:fs'
import {createRequire} from 'node:module'
import {dirname, join} from 'node:path'

import {PROJECT, programIn} from '../../helpers/program.js'
import {temporaryDirectories} from '../../helpers/temporary.js'

const RULES = join(PROJECT, '.dependency-cruiser.cjs')

interface Rules {
  readonly forbidden: readonly {readonly name: string}[]
}

/** Files by their names below src/, with what they import. */
const BREAKING: Readonly<Record<string, readonly string[]>> = {
  'one.ts': ['./other.js'],
  'other.ts': ['./one.js'],
  'lonely.ts': [],
  'kernel/errno.ts': ['node:fs', '../ffi/libc.js'],
  'ffi/libc.ts': ['../host/open.js', 'listr2'],
  'host/open.ts': ['../intercept/decision.js', 'koffi'],
  'intercept/decision.ts': ['../config/load.js', '../ffi/libc.js', 'node:fs'],
  'intercept/composition.ts': ['../kernel/errno.js'],
  'intercept/families/one/index.ts': ['../two/index.js', '../../composition.js'],
  'intercept/families/two/index.ts': ['../../../kernel/errno.js'],
  'config/load.ts': ['../render/sink.js', 'tar', '@oclif/core'],
  'render/sink.ts': ['../explain/explain.js', '../intercept/engine/worker.js'],
  'container/run.ts': ['../render/sink.js', '../intercept/families/two/index.js', 'ajv'],
  'explain/explain.ts': ['../cli/main.js'],
  'check/check.ts': ['../explain/explain.js'],
  'cli/main.ts': ['../check/check.js'],
  'intercept/engine/worker.ts': ['../families/two/index.js'],
}

describe('the rules on imports', function () {
  this.timeout(60_000)
  const temporary = temporaryDirectories()

  it('can each be broken, and are', () => {
    const project = temporary()
    for (const [name, imports] of Object.entries(BREAKING)) {
      const file = join(project, 'src', name)
      mkdirSync(dirname(file), {recursive: true})
      writeFileSync(file, imports.map((each) => `import '${each}'\n`).join(''))
    }
    symlinkSync(join(PROJECT, 'node_modules'), join(project, 'node_modules'))
    writeFileSync(join(project, 'tsconfig.json'), '{"compilerOptions": {"module": "nodenext"}}')
    const tool = join(PROJECT, 'node_modules', 'dependency-cruiser', 'bin', 'dependency-cruise.mjs')
    const words = ['--config', RULES, '--output-type', 'json', 'src']
    const {stdout, stderr} = programIn({cwd: project, timeoutMs: 50_000}, process.execPath, tool, ...words)
    assert.equal(stderr, '')
    const {summary} = JSON.parse(stdout) as {summary: {violations: readonly {rule: {name: string}}[]}}
    const broken = new Set(summary.violations.map(({rule}) => rule.name))
    const {forbidden} = createRequire(import.meta.url)(RULES) as Rules
    const unbroken = forbidden.map(({name}) => name).filter((name) => !broken.has(name))
    assert.deepEqual(unbroken, [])
  })
})
