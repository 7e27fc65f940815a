import assert from 'node:assert/strict'

import {flagsOf} from '../../../src/cli/flags/index.js'
import {COMMANDS} from '../../../src/commands/index.js'
import type {CommandName} from '../../../src/flag.js'
import {fishCompletion, zshCompletion} from '../../../src/manual/completion.js'

const names = Object.keys(COMMANDS) as CommandName[]

describe('completion in zsh and fish', () => {
  it('knows every flag of every command', () => {
    for (const text of [zshCompletion(COMMANDS), fishCompletion(COMMANDS)]) {
      const missing = names.flatMap(flagsOf).filter(({name}) => !new RegExp(`(--|-l )${name}[\\[= ]`).test(text))
      assert.deepEqual(missing, [])
    }
  })
})
