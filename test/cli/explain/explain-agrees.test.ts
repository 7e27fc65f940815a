// What `explain` says of a call, and what `run` does with it, for root: drawn calls under drawn policies are put to both.

import {skipUnlessPrivileged, skipUnlessPrograms} from '../../helpers/skip.js'
import {agreementSuite} from '../../helpers/agreement/suite.js'

describe('the verdicts of explain and run', () => {
  skipUnlessPrivileged()
  skipUnlessPrograms('python3')
  agreementSuite()
})
