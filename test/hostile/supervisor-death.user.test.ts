// The same as supervisor-death.test.ts where the container's users are the supervisor's own, and its servers are asked for memory.

import assert from 'node:assert/strict'
import {once} from 'node:events'
import {writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {descendantsOf, isAlive, until} from '../helpers/processes.js'
import {runningContainers} from '../helpers/running.js'
import {skipUnlessPrograms, skipUnlessRootless} from '../helpers/skip.js'
import {temporaryDirectories} from '../helpers/temporary.js'
import {IDLE, assertDiesWithSupervisor, prepareUnanswered, startExec} from '../helpers/unanswered.js'

const FLAGS = ['--mknod', '--device', '/dev/fuse']

/** On the main thread, when there is a file of the name. */
const BUG = `
  import {existsSync} from 'node:fs'
  import {isMainThread} from 'node:worker_threads'
  const throwWhenAsked = () => { if (existsSync('now')) throw new Error('met') }
  if (isMainThread) setInterval(throwWhenAsked, 20).unref()
`

describe("an ordinary user's container that holds a thread of its supervisor", function () {
  this.timeout(60_000)
  skipUnlessRootless()
  skipUnlessPrograms('cc', 'newuidmap')
  const temporary = temporaryDirectories()
  const start = runningContainers()
  const prepared = () => {
    const directory = temporary()
    prepareUnanswered(directory)
    return directory
  }

  const wait = './unanswered m memory > out & until grep -q unanswered out; do sleep 0.1; done;'

  it('ends with a supervisor that is killed', async () => {
    const {supervisor} = await start(prepared(), FLAGS, `${wait} ${IDLE}`)
    await assertDiesWithSupervisor(supervisor.pid)
  })

  it('ends with a supervisor that has met a bug of its own', async () => {
    const directory = prepared()
    const bug = join(directory, 'bug.mjs')
    writeFileSync(bug, BUG)
    const {supervisor, written} = await start(directory, FLAGS, `${wait} ${IDLE}`, {NODE_OPTIONS: `--import=${bug}`})
    const started = descendantsOf(supervisor.pid)
    const ended = once(supervisor, 'exit')
    writeFileSync(join(directory, 'now'), '')
    assert.deepEqual(await ended, [70, null])
    assert.match(written(), /internal error .*\nError: met\n/u)
    await until(() => !started.some(isAlive), 'all that the supervisor started is gone')
  })

  it('has no command left of an exec that is killed', async () => {
    const container = await start(prepared(), FLAGS)
    await assertDiesWithSupervisor(await startExec(container, `${wait} setsid sleep 300 & ${IDLE}`))
    assert.ok(isAlive(container.supervisor.pid))
  })

  it('has its other calls answered by another thread', async () => {
    await start(prepared(), FLAGS, `${wait} mknod null c 1 3 && test -e null || exit 1; ${IDLE}`)
  })
})
