// The supervisor's own nodes, in a process of their own because the store changes mount namespaces.

import assert from 'node:assert/strict'
import {fileURLToPath} from 'node:url'

import {succeed} from '../../helpers/program.js'
import {skipUnlessRoot} from '../../helpers/skip.js'

describe('the store of nodes', () => {
  skipUnlessRoot()
  const fixture = fileURLToPath(new URL('../../fixtures/node-store.ts', import.meta.url))

  // Others mount something too.
  const alone = ['--mount', '--propagation', 'private']

  for (const way of ['detached', 'attached']) {
    it(`makes, links, clones and removes nodes while it is ${way}, unseen by the host`, () => {
      assert.deepEqual(JSON.parse(succeed({}, 'unshare', ...alone, process.execPath, '--import=tsx', fixture, way)), {
        mode: 0o020_640,
        uid: 100_000,
        gid: 100_001,
        rdevMajor: 1,
        rdevMinor: 5,
        links: [1, 2, 0],
        isUnchanged: true,
      })
    })
  }
})
