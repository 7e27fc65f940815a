import {itEndsUnread, itExportsDeepTrees, itNamesTheLimitOfOpenFiles} from '../helpers/resource-attacks.js'
import {skipUnlessPrivileged, skipUnlessPrograms} from '../helpers/skip.js'
import {temporaryDirectories} from '../helpers/temporary.js'

describe('a run of root that is left with too little', function () {
  this.timeout(120_000)
  skipUnlessPrivileged()
  skipUnlessPrograms('python3')
  const temporary = temporaryDirectories()
  itExportsDeepTrees(temporary)
  itEndsUnread(temporary)
  itNamesTheLimitOfOpenFiles(temporary)
})
