// The recipes for CI: valid YAML, shell that parses, and no flag or command of ours that there is not.

import assert from 'node:assert/strict'
import {spawnSync} from 'node:child_process'
import {existsSync, readFileSync, readdirSync} from 'node:fs'
import {join} from 'node:path'

import {parse} from 'yaml'

import type {CommandName} from '../../../src/flag.js'
import {parseLine} from '../../../src/cli/line/operands.js'
import {toPolicy} from '../../../src/cli/line/policy.js'
import {hasProgram, PROJECT} from '../../helpers/program.js'
import {skipTestUnless} from '../../helpers/skip.js'

interface Job {
  readonly script?: readonly string[]
  readonly before_script?: readonly string[]
  readonly after_script?: readonly string[]
  readonly steps?: readonly {readonly run?: string; readonly uses?: string}[]
}

const read = (name: string): Record<string, unknown> =>
  parse(readFileSync(join(PROJECT, 'examples', name), 'utf8')) as Record<string, unknown>

function scriptsOf(name: string): readonly string[] {
  const document = read(name)
  const jobs = Object.values((document['jobs'] ?? document) as Record<string, unknown>)
  return jobs.flatMap((job) => {
    const {script, before_script: before, after_script: after, steps} = (job ?? {}) as Job
    return [...(before ?? []), ...(script ?? []), ...(after ?? []), ...(steps ?? []).map(({run}) => run ?? '')].filter(
      (text) => text !== '',
    )
  })
}

/** Words of every call of interceptor in a script, as the shell would pass them; variables stay as they are. */
function commandLines(script: string): readonly (readonly string[])[] {
  return script
    .split(/\n|\|\||&&|(?<!\|)\|(?!\|)/)
    .map((line) => line.trim())
    .filter((line) => line.startsWith('interceptor '))
    .map((line) => line.split(/\s+/).slice(1))
}

describe('the recipes for CI', () => {
  const recipes = readdirSync(join(PROJECT, 'examples')).filter((name) => /\.ya?ml$/.test(name))

  it('are there for GitLab and GitHub', () => {
    for (const name of ['github-actions.yml', 'gitlab-ci.yml']) assert.ok(recipes.includes(name), name)
    assert.ok(existsSync(join(PROJECT, 'share', 'apparmor', 'interceptor')))
  })

  for (const name of recipes) {
    it(`parse as shell (${name})`, function () {
      skipTestUnless(this, hasProgram('bash'), 'bash not installed')
      const scripts = scriptsOf(name)
      assert.ok(scripts.length > 0)
      for (const script of scripts) {
        const {status, stderr} = spawnSync('bash', ['-n'], {input: script, encoding: 'utf8'})
        assert.deepEqual([status, stderr], [0, ''], script)
      }
    })

    it(`call interceptor as it is called (${name})`, () => {
      const lines = scriptsOf(name).flatMap(commandLines)
      assert.ok(lines.some(([command]) => command === 'run'))
      for (const [command = '', ...words] of lines) {
        const {values, operands} = parseLine(words, command as CommandName)
        toPolicy(values)
        assert.equal(operands[0], command === 'run' ? 'debootstrap' : undefined)
      }
    })

    it(`build an image and keep it (${name})`, () => {
      const run = scriptsOf(name)
        .flatMap(commandLines)
        .find(([command]) => command === 'run')
      const {values} = parseLine(run!.slice(1), 'run')
      assert.deepEqual([values['mknod'], values['export-root']], [true, 'rootfs'])
      // Among what is kept, packed or not.
      const kept = JSON.stringify(read(name))
        .split(/artifacts|upload-artifact/)
        .at(-1)!
      assert.ok(kept.includes(String(values['export'])))
    })
  }
})
