// The same as paths.test.ts in a container of an ordinary user, whose nodes are bound.

import {itFindsPaths} from '../../helpers/paths.js'
import {skipUnlessPrograms, skipUnlessRootless} from '../../helpers/skip.js'
import {temporaryDirectories} from '../../helpers/temporary.js'

describe("drawn paths of callers in an ordinary user's container", () => {
  skipUnlessRootless()
  skipUnlessPrograms('python3', 'newuidmap')
  itFindsPaths(temporaryDirectories())
})
