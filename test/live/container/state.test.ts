import assert from 'node:assert/strict'
import {spawn} from 'node:child_process'
import {once} from 'node:events'

import {identify, isAlive} from '../../../src/container/state.js'

describe('isAlive', () => {
  it('is over with the process, reaped or not', async () => {
    const child = spawn('sleep', ['60'])
    const identity = identify(child.pid!)
    assert.equal(identity !== undefined && isAlive(identity), true)
    child.kill('SIGKILL')
    await once(child, 'exit')
    assert.equal(isAlive(identity!), false)
  })
})
