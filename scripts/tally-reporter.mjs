// mocha's spec reporter, which also leaves the counts in the file that TALLY_FILE names, for the sum over several runs.

import {writeFileSync} from 'node:fs'

import Mocha from 'mocha'

export default class TallyReporter extends Mocha.reporters.Spec {
  constructor(runner, options) {
    super(runner, options)
    runner.once('end', () => {
      const {passes, failures, pending} = this.stats
      if (process.env.TALLY_FILE !== undefined) {
        writeFileSync(process.env.TALLY_FILE, JSON.stringify({passed: passes, failed: failures, skipped: pending}))
      }
    })
  }
}
