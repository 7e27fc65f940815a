// The suite for one way of being started: whoever runs it.

import assert from 'node:assert/strict'

import fc from 'fast-check'

import {temporaryDirectories} from '../temporary.js'
import {differences} from './agree.js'
import {calls, policies} from './draw.js'

/** Calls that are put to one policy, in one container. */
const CALLS = 60

/** INTERCEPTOR_SEED draws others; INTERCEPTOR_POLICIES says how many policies. */
export function agreementSuite(): void {
  const directory = temporaryDirectories()
  const seed = Number(process.env['INTERCEPTOR_SEED'] ?? '20261122') >>> 0
  const count = Number(process.env['INTERCEPTOR_POLICIES'] ?? '8')

  for (const [index, policy] of fc.sample(policies, {seed, numRuns: count}).entries()) {
    it(`are the same under policy ${index} of seed ${seed}`, function () {
      this.timeout(120_000)
      const [drawn = []] = fc.sample(calls(CALLS), {seed: seed + index, numRuns: 1})
      const found = differences(policy, drawn, directory())
      assert.deepEqual(found, [], `${policy.flags.join(' ')}\n${policy.file ?? ''}`)
    })
  }
}
