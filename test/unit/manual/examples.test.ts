// The recipes for CI: valid YAML, and no flag or command of ours that there is not.

import assert from 'node:assert/strict'
import {existsSync} from 'node:fs'
import {join} from 'node:path'

import type {CommandName} from '../../../src/flag.js'
import {parseLine} from '../../../src/cli/line/operands.js'
import {toPolicy} from '../../../src/cli/line/policy.js'
import {PROJECT} from '../../helpers/program.js'
import {RECIPES, readRecipe, scriptsOf} from '../../helpers/recipes.js'

/** Words of every call of interceptor in a script, as the shell would pass them; variables stay as they are. */
function commandLines(script: string): readonly (readonly string[])[] {
  return script
    .split(/\n|\|\||&&|(?<!\|)\|(?!\|)/)
    .map((line) => line.trim())
    .filter((line) => line.startsWith('interceptor '))
    .map((line) => line.split(/\s+/).slice(1))
}

describe('the recipes for CI', () => {
  it('are there for GitLab and GitHub', () => {
    for (const name of ['github-actions.yml', 'gitlab-ci.yml']) assert.ok(RECIPES.includes(name), name)
    assert.ok(existsSync(join(PROJECT, 'share', 'apparmor', 'interceptor')))
  })

  for (const name of RECIPES) {
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
      const kept = JSON.stringify(readRecipe(name))
        .split(/artifacts|upload-artifact/)
        .at(-1)!
      assert.ok(kept.includes(String(values['export'])))
    })
  }
})
