// The same as explain-agrees.test.ts, for an ordinary user.

import {agreementSuite} from '../../helpers/agreement/suite.js'
import {skipUnlessPrograms, skipUnlessRootless} from '../../helpers/skip.js'

describe('the verdicts of explain and run, for an ordinary user', () => {
  skipUnlessRootless()
  skipUnlessPrograms('python3', 'newuidmap')
  agreementSuite()
})
