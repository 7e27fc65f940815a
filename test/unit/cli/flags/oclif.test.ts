import assert from 'node:assert/strict'

import {Parser} from '@oclif/core'
import fc from 'fast-check'

import {flagsOf} from '../../../../src/cli/flags/index.js'
import {oclifFlags} from '../../../../src/cli/flags/oclif.js'
import {parseLine} from '../../../../src/cli/line/operands.js'

describe('oclifFlags', () => {
  const table = flagsOf('run')

  it('hold the same flags in the same groups', () => {
    const made = oclifFlags('run')
    assert.deepEqual(Object.keys(made), [...table.map(({name}) => name), 'help'])
    for (const {name, group, char} of table) {
      assert.deepEqual([made[name]?.helpGroup, made[name]?.char], [group, char])
    }
  })

  it('parse as our own reader does, up to the two dashes', async () => {
    // Our reader exists for speed and for operands; what it reads as flags must be what oclif would.
    const value = fc.stringMatching(/^[a-z0-9:/=,.]{1,12}$/)
    const words = fc
      .uniqueArray(fc.constantFrom(...table), {selector: ({name}) => name})
      .chain((chosen) =>
        fc.tuple(...chosen.map((flag) => wordsOf(flag.name, fc.array(value, {minLength: 1, maxLength: 3})))),
      )
    function wordsOf(name: string, values: fc.Arbitrary<string[]>): fc.Arbitrary<string[]> {
      const flag = table.find((candidate) => candidate.name === name)!
      if (flag.kind === 'switch') return fc.constant([`--${name}`])
      return fc.tuple(values, fc.boolean()).map(([texts, joined]) => {
        const own = flag.options === undefined ? texts : [flag.options[0]!]
        const used = flag.kind === 'list' ? own : own.slice(0, 1)
        return used.flatMap((text) => (joined ? [`--${name}=${text}`] : [`--${name}`, text]))
      })
    }
    await fc.assert(
      fc.asyncProperty(words, async (parts) => {
        const line = [...parts.flat(), '--', 'x']
        const theirs = await Parser.parse(line, {flags: oclifFlags('run'), strict: false})
        const {json: _, ...flags} = theirs.flags as Record<string, unknown>
        assert.deepEqual({...parseLine(line, 'run', table).values}, flags)
      }),
      {numRuns: 200},
    )
  })
})
