// The life of a launched container: its listener, its terminal, and sudden deaths of those who watch over it.

import assert from 'node:assert/strict'
import {spawn} from 'node:child_process'
import type {ChildProcess} from 'node:child_process'
import {closeSync, existsSync, mkdirSync, readFileSync, readlinkSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'

import {launch} from '../../../src/container/launch/index.js'
import {LaunchError} from '../../../src/errors.js'
import {Notifier} from '../../../src/ffi/seccomp.js'
import {notifyProgram, planOf} from '../../helpers/launch-plan.js'
import {descendantsOf, isAlive, membersOf, pidNamespace, until} from '../../helpers/processes.js'
import {PROJECT, programIn} from '../../helpers/program.js'
import {skipUnlessPrivileged, skipUnlessPrograms} from '../../helpers/skip.js'
import {temporaryDirectories} from '../../helpers/temporary.js'
import {hostServers, prepareUnanswered, waitsForServer} from '../../helpers/unanswered.js'

const SETHOSTNAME = process.arch === 'arm64' ? 161 : 170
const EXECVE = process.arch === 'arm64' ? 221 : 59
const FIXTURE = join(PROJECT, 'test/fixtures/launch-command.ts')
const LOADER = ['--import', 'tsx']

describe('a launched container', () => {
  skipUnlessPrivileged()
  const serve = hostServers()
  const makeDirectory = temporaryDirectories()

  describe('with a listener', () => {
    it('answers the first system call of the command, which is execve', async () => {
      const container = await launch(planOf(['/bin/true'], {notifyFilter: notifyProgram(EXECVE), waitKillable: true}), {
        mapped: () => undefined,
      })
      assert.ok(container.listener !== undefined)
      container.go()
      const notifier = new Notifier(container.listener)
      while (!notifier.receive());
      assert.equal(notifier.number, EXECVE)
      assert.equal(readlinkSync(`/proc/${notifier.tid}/ns/pid`), `pid:[${pidNamespace(container.initPid)}]`)
      assert.ok(notifier.continue())
      assert.deepEqual(await container.ended, {kind: 'exited', status: 0})
      closeSync(container.listener)
    })

    it('gives the command the errno of the supervisor, also as an ordinary user', async () => {
      const container = await launch(
        planOf(['sh', '-c', 'hostname other 2>/dev/null; exit $?'], {
          notifyFilter: notifyProgram(SETHOSTNAME),
          uid: 1000,
          gid: 1000,
        }),
        {mapped: () => undefined},
      )
      assert.ok(container.listener !== undefined)
      container.go()
      const notifier = new Notifier(container.listener)
      while (!notifier.receive());
      assert.ok(notifier.answer(0))
      assert.deepEqual(await container.ended, {kind: 'exited', status: 0})
      closeSync(container.listener)
    })

    it('holds the command back without using a processor until go', async () => {
      const container = await launch(planOf(['true'], {notifyFilter: notifyProgram(SETHOSTNAME)}), {
        mapped: () => undefined,
      })
      const command = descendantsOf(container.initPid)[0]
      await sleep(400)
      const fields =
        readFileSync(`/proc/${command ?? 0}/stat`, 'latin1')
          .split(') ')[1]
          ?.split(' ') ?? []
      assert.equal(fields[0], 'T')
      assert.ok(Number(fields[11]) + Number(fields[12]) < 10, 'used a processor meanwhile')
      container.go()
      assert.deepEqual(await container.ended, {kind: 'exited', status: 0})
      closeSync(container.listener ?? -1)
    })
  })

  describe('whose watchers die', () => {
    /** Starts the fixture and waits until its container runs: the fixture, its init, what it and the command said. */
    async function start(
      command: readonly string[],
      env: NodeJS.ProcessEnv = {},
    ): Promise<[ChildProcess, number, () => string]> {
      const child = spawn(process.execPath, [...LOADER, FIXTURE, ...command], {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: {...process.env, ...env},
        detached: true,
      })
      let said = ''
      child.stderr.on('data', (bytes: Buffer) => (said += bytes.toString()))
      await until(() => /^init \d+$/mu.test(said), 'the container runs', 30_000)
      return [child, Number(/^init (\d+)$/mu.exec(said)?.[1]), () => said]
    }

    it('leaves no process, file or cgroup when Node is killed', async () => {
      const directory = makeDirectory()
      const [file, cgroup] = [join(directory, 'file'), join(directory, 'cgroup')]
      writeFileSync(file, '')
      mkdirSync(cgroup)
      const [child, init] = await start(['sh', '-c', 'setsid sleep 1000 & sleep 1000'], {
        TEST_REMOVE: `${file}:${cgroup}:${directory}/none`,
      })
      const inode = pidNamespace(init)
      const ours = [...descendantsOf(child.pid ?? 0)]
      child.kill('SIGKILL')
      await until(() => membersOf(inode).length === 0 && !ours.some(isAlive), 'all processes are gone')
      assert.deepEqual([existsSync(file), existsSync(cgroup)], [false, false])
    })

    it('leaves no process when Node is killed while its main thread is beyond the reach of SIGKILL', async () => {
      const directory = makeDirectory()
      prepareUnanswered(directory)
      await serve(directory)
      const [child, init] = await start(['sleep', '1000'], {TEST_READ: join(directory, 'm', 'file')})
      const inode = pidNamespace(init)
      await until(() => waitsForServer(child.pid ?? 0), 'the main thread waits for the server')
      child.kill('SIGKILL')
      await until(() => membersOf(inode).length === 0, 'all processes are gone')
      assert.ok(waitsForServer(child.pid ?? 0))
    })

    it('ends, and says so, when the launcher is killed', async () => {
      const container = await launch(planOf(['sleep', '1000']), {mapped: () => undefined})
      container.go()
      const inode = pidNamespace(container.initPid)
      process.kill(Number(/^PPid:\t(\d+)$/mu.exec(readFileSync(`/proc/${container.initPid}/status`, 'latin1'))?.[1]), 9)
      await assert.rejects(
        container.ended,
        (error: unknown) =>
          error instanceof LaunchError && error.message.includes('the launcher ended early (SIGKILL)'),
      )
      await until(() => membersOf(inode).length === 0, 'all processes are gone')
    })

    it('ends, and says so, when its init is killed', async () => {
      const container = await launch(planOf(['sleep', '1000']), {mapped: () => undefined})
      container.go()
      const inode = pidNamespace(container.initPid)
      process.kill(container.initPid, 'SIGKILL')
      await assert.rejects(container.ended, /init ended early \(SIGKILL\)/u)
      assert.deepEqual(membersOf(inode), [])
    })

    it('passes a signal on that Node alone got, and not one that the whole group got', async () => {
      const script =
        "n=0; trap 'n=$((n+1)); echo got $n >&2' USR2; trap 'exit $n' TERM; echo trapped >&2; while :; do sleep 0.02; done"
      for (const whole of [false, true]) {
        const [child, , said] = await start(['sh', '-c', script])
        const status = new Promise<number | null>((resolve) => child.on('exit', resolve))
        const pid = child.pid ?? 0
        await until(() => said().includes('trapped'), 'the command waits for signals')
        process.kill(whole ? -pid : pid, 'SIGUSR2')
        await until(() => said().includes('got'), 'the command got the signal')
        // What Node passed on twice comes before this one.
        process.kill(pid, 'SIGTERM')
        assert.equal(await status, 1, whole ? 'the group' : 'Node alone')
      }
    })

    it('dies of the signal that killed the command', async () => {
      const [child] = await start(['sh', '-c', 'sleep 0.2; kill -QUIT $$'])
      const ended = await new Promise((resolve) => child.on('exit', (status, signal) => resolve([status, signal])))
      assert.deepEqual(ended, [null, 'SIGQUIT'])
    })
  })

  describe('on a terminal', () => {
    skipUnlessPrograms('script', 'bash')

    /** A shell on a terminal of its own; $RUN is the fixture. */
    function onTerminal(shell: string, text: string, input = ''): string {
      const command = `'${process.execPath}' --import tsx '${FIXTURE}'`
      const {stdout} = programIn(
        {env: {RUN: command}, input},
        'script',
        '-qec',
        `${shell} '${text.replaceAll("'", "'\\''")}'`,
        '/dev/null',
      )
      return stdout.replaceAll('\r', '').replace(/^init \d+\n/gmu, '')
    }

    it('stops with the command and continues with it', () => {
      const text = onTerminal(
        'bash -mc',
        `eval $RUN sh -c '"kill -TSTP \\$\\$; echo continued; exit 7"'; echo stopped $?; fg >/dev/null; echo ended $?`,
      )
      assert.match(text, /stopped 147\n(.*\n)*continued\nended 7\n$/u)
    })

    it('reads the terminal in the foreground after SIGTTIN stopped it in the background', () => {
      // The pause lets init report the stop to Node, which is stopped itself and hears of it after fg.
      const text = onTerminal(
        'bash -mc',
        `eval $RUN sh -c '"read word; echo got \\$word"' & wait %1; echo stopped $?; sleep 0.5; fg >/dev/null; echo ended $?`,
        'word\n',
      )
      // 128 + SIGTTIN
      assert.match(text, /stopped 149\n(.*\n)*got word\nended 0\n$/u)
    })

    it('leaves the terminal to a shell with its own process group, and takes it back', () => {
      // Fields 5 and 8: the process group and the terminal's. A shell without job control would not take it back itself.
      const text = onTerminal(
        'sh -c',
        `eval $RUN bash --norc -ic '"sleep 0.1; cut -d\\  -f5,8 /proc/self/stat"'; echo ended $?; cut -d' ' -f5,8 /proc/$$/stat`,
      )
      assert.match(text, /^(\d+) \1\nended 0\n(\d+) \2\n$/u)
    })
  })
})
