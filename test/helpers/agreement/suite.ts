// The suite for one way of being started: whoever runs it.

import assert from 'node:assert/strict'

import fc from 'fast-check'

import {temporaryDirectories} from '../temporary.js'
import {compare} from './agree.js'
import {calls, policies} from './draw.js'

/** Calls that are put to one policy, in one container. */
const CALLS = 60

/** INTERCEPTOR_SEED draws others; INTERCEPTOR_POLICIES says how many policies. */
export function agreementSuite(): void {
  const directory = temporaryDirectories()
  const seed = Number(process.env['INTERCEPTOR_SEED'] ?? '20261122') >>> 0
  const count = Number(process.env['INTERCEPTOR_POLICIES'] ?? '8')
  const total = {compared: 0, unknown: 0, unstarted: 0}

  after('say how many calls were compared', () => {
    const {compared, unknown, unstarted} = total
    console.log(
      `      seed ${seed}: ${compared} calls compared, ${unknown} that explain cannot judge, ` +
        `${unstarted} of ${count} policies with which neither starts`,
    )
  })

  for (const [index, policy] of fc.sample(policies, {seed, numRuns: count}).entries()) {
    it(`are the same under policy ${index} of seed ${seed}`, function () {
      this.timeout(120_000)
      const [drawn = []] = fc.sample(calls(CALLS), {seed: seed + index, numRuns: 1})
      const {differences, compared, unknown} = compare(policy, drawn, directory())
      total.compared += compared
      total.unknown += unknown
      if (compared + unknown === 0) total.unstarted++
      assert.deepEqual(differences, [], `${policy.flags.join(' ')}\n${policy.file ?? ''}`)
    })
  }
}
