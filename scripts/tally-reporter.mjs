// mocha's spec reporter, which also leaves the counts and the titles of what failed in the file that TALLY_FILE names,
// for the sum over several runs.

import {writeFileSync} from 'node:fs'
import {relative} from 'node:path'

import Mocha from 'mocha'

export default class TallyReporter extends Mocha.reporters.Spec {
  constructor(runner, options) {
    super(runner, options)
    const failures = []
    runner.on('fail', (test) => {
      failures.push(`  ${relative('.', test.file ?? test.parent?.file ?? '')}: ${test.fullTitle()}`)
    })
    runner.once('end', () => {
      const {passes: passed, failures: failed, pending: skipped} = this.stats
      if (process.env.TALLY_FILE !== undefined) {
        writeFileSync(process.env.TALLY_FILE, JSON.stringify({passed, failed, skipped, failures}))
      }
    })
  }
}
