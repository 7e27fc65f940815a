import assert from 'node:assert/strict'
import {spawnSync} from 'node:child_process'
import {createRequire} from 'node:module'
import {join} from 'node:path'

import {INTERCEPTOR, PROJECT} from '../helpers/program.js'

interface Loader {
  readonly compile: (name: 'main' | 'worker') => {readonly script: {readonly cachedDataRejected?: boolean}}
}

describe('starting', () => {
  const {compile} = createRequire(import.meta.url)(join(PROJECT, 'bin', 'load.js')) as Loader

  for (const name of ['main', 'worker'] as const)
    it(`takes the code of ${name} that was kept by the build`, () =>
      assert.equal(compile(name).script.cachedDataRejected, false))

  it('goes without it where V8 has other flags', () => {
    const {status, stdout, stderr} = spawnSync(process.execPath, ['--stack-size=900', INTERCEPTOR, 'run', '--help'], {
      encoding: 'utf8',
    })
    assert.equal(stderr, '')
    assert.match(stdout, /^Run a command/m)
    assert.equal(status, 0)
  })
})
