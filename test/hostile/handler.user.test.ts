import assert from 'node:assert/strict'
import {cpSync, mkdirSync} from 'node:fs'
import {join} from 'node:path'

import {PROJECT, interceptorIn} from '../helpers/program.js'
import {skipUnlessPrograms, skipUnlessRootless} from '../helpers/skip.js'
import {temporaryDirectories} from '../helpers/temporary.js'

describe('a handler that the container of an ordinary user could write', function () {
  this.timeout(60_000)
  skipUnlessRootless()
  skipUnlessPrograms('newuidmap')
  const temporary = temporaryDirectories()

  it('is not used, and one beside the current directory is', () => {
    const top = temporary()
    const cwd = join(top, 'work')
    mkdirSync(cwd)
    for (const directory of [top, cwd]) cpSync(join(PROJECT, 'examples/handler/caesar.js'), join(directory, 'h.mjs'))
    const refused = interceptorIn({cwd}, 'run', '--handler', 'h.mjs', '--', 'echo', 'ran')
    assert.deepEqual([refused.status, refused.stdout], [125, ''], refused.stderr)
    assert.match(refused.stderr, /cannot use --handler \S+h\.mjs: the container can write to it/u)
    const used = interceptorIn({cwd}, 'run', '--handler', '../h.mjs', '--', 'echo', 'ran')
    assert.deepEqual([used.status, used.stdout], [0, 'ran\n'], used.stderr)
  })
})
