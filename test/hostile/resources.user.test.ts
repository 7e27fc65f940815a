import {itEndsUnread, itExportsDeepTrees, itNamesTheLimitOfOpenFiles} from '../helpers/resource-attacks.js'
import {skipUnlessPrograms, skipUnlessRootless} from '../helpers/skip.js'
import {temporaryDirectories} from '../helpers/temporary.js'

describe('a run of an ordinary user that is left with too little', function () {
  this.timeout(120_000)
  skipUnlessRootless()
  skipUnlessPrograms('newuidmap', 'python3')
  const temporary = temporaryDirectories()
  itExportsDeepTrees(temporary)
  itEndsUnread(temporary)
  itNamesTheLimitOfOpenFiles(temporary)
})
