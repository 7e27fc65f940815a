import {itFollowsNoLinks} from '../helpers/link-attacks.js'
import {skipUnlessPrograms, skipUnlessRootless} from '../helpers/skip.js'
import {temporaryDirectories} from '../helpers/temporary.js'

describe('links that a container left for the next run of an ordinary user', function () {
  this.timeout(60_000)
  skipUnlessRootless()
  skipUnlessPrograms('newuidmap')
  itFollowsNoLinks(temporaryDirectories())
})
