// Where paths of callers lead: drawn trees, links, directories, roots, descriptors and users.

import {itFindsPaths} from '../../helpers/paths.js'
import {skipUnlessPrivileged, skipUnlessPrograms} from '../../helpers/skip.js'
import {temporaryDirectories} from '../../helpers/temporary.js'

describe('drawn paths of callers', () => {
  skipUnlessPrivileged()
  skipUnlessPrograms('python3')
  itFindsPaths(temporaryDirectories())
})
