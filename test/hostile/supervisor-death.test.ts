// A container that holds threads of its supervisor in the kernel: it stays supervised, and it ends when that is killed.

import assert from 'node:assert/strict'
import {join} from 'node:path'

import {isAlive} from '../helpers/processes.js'
import {runningContainers} from '../helpers/running.js'
import {skipUnlessPrivileged, skipUnlessPrograms} from '../helpers/skip.js'
import {temporaryDirectories} from '../helpers/temporary.js'
import {IDLE, assertDiesWithSupervisor, hostServers, prepareUnanswered, startExec} from '../helpers/unanswered.js'

describe('a container that holds a thread of its supervisor', function () {
  this.timeout(60_000)
  skipUnlessPrivileged()
  skipUnlessPrograms('cc')
  const serve = hostServers()
  const temporary = temporaryDirectories()
  const start = runningContainers()
  let place = ''
  let waits = 0
  /** Who looks for a name that another looks for already does not ask the server. */
  const wait = () => `mknod ${place}/${waits++}/node c 1 3 &`

  // The kernel asks no server of the container's own in the name of the host's users, but one of the host's.
  before(async () => {
    const directory = temporary()
    prepareUnanswered(directory)
    await serve(directory)
    place = join(directory, 'm')
  })

  for (const signal of ['SIGKILL', 'SIGABRT'] as const) {
    it(`ends with a supervisor that dies of ${signal}`, async () => {
      const {supervisor} = await start(temporary(), ['--mknod'], `${wait()} ${IDLE}`)
      await assertDiesWithSupervisor(supervisor.pid, signal)
    })
  }

  it('has no command left of an exec that is killed', async () => {
    const container = await start(temporary(), ['--mknod'])
    await assertDiesWithSupervisor(await startExec(container, `${wait()} setsid sleep 300 & ${IDLE}`))
    assert.ok(isAlive(container.supervisor.pid))
  })

  it('has its other calls answered by another thread', async () => {
    await start(temporary(), ['--mknod'], `${wait()} sleep 0.2; mknod null c 1 3 && test -c null || exit 1; ${IDLE}`)
  })

  for (const what of ['memory', 'path']) {
    it(`gets none by a ${what} of its own file system, whoever made the call before`, async () => {
      const directory = temporary()
      prepareUnanswered(directory)
      const script = `for i in 1 2 3; do mknod n c 1 3; rm n; done; ./unanswered m ${what}; ${IDLE}`
      const {written} = await start(directory, ['--mknod', '--device', '/dev/fuse'], script)
      assert.match(written(), /^mknod: (?:Bad address|Permission denied)$/mu)
    })
  }
})
