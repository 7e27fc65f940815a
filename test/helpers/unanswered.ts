// FUSE servers that do not answer, and so keep a thread of the supervisor in the kernel, where not even SIGKILL ends it.

import assert from 'node:assert/strict'
import {spawn} from 'node:child_process'
import type {ChildProcess} from 'node:child_process'
import {once} from 'node:events'
import {chmodSync, mkdirSync, readFileSync, readdirSync} from 'node:fs'
import {join} from 'node:path'

import {buildTestProgram} from './intercepted.js'
import {descendantsOf, isAlive, until} from './processes.js'
import {INTERCEPTOR, programIn} from './program.js'
import type {Running} from './running.js'

/** For sh: what the container does for the rest of its life. */
export const IDLE = 'echo ready; exec sleep 300'

/** Builds native/test/unanswered.c in `directory`, with a place to mount at, `m`. */
export function prepareUnanswered(directory: string): void {
  buildTestProgram('unanswered', directory)
  mkdirSync(join(directory, 'm'))
}

/** In a describe callback: mounts at `m` of such a directory a file system of the host's, which every user sees. */
export function hostServers(): (directory: string) => Promise<void> {
  const servers: {readonly server: ChildProcess; readonly place: string}[] = []
  after(() => {
    for (const {server, place} of servers) {
      server.kill('SIGKILL')
      programIn({}, 'umount', '--lazy', place)
    }
  })
  return async (directory) => {
    const place = join(directory, 'm')
    chmodSync(directory, 0o755)
    const server = spawn(join(directory, 'unanswered'), [place], {stdio: ['ignore', 'pipe', 'inherit']})
    servers.push({server, place})
    await once(server.stdout, 'data')
  }
}

/** Kills a supervisor, of which a thread waits, and waits until no process that it started is left. */
export async function assertDiesWithSupervisor(pid: number, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  await until(() => waitsForServer(pid), 'a thread of the supervisor waits for the server')
  const started = descendantsOf(pid)
  assert.ok(started.length >= 3, `${started.length} processes`)
  process.kill(pid, signal)
  await until(() => !started.some(isAlive), 'all that the supervisor started is gone')
}

/** A command that another supervisor runs in `container`, once it has written something: the pid of that one. */
export async function startExec({name}: Running, script: string): Promise<number> {
  const words = [INTERCEPTOR, 'exec', name, 'sh', '-c', script]
  const child = spawn(process.execPath, words, {stdio: ['ignore', 'pipe', 'inherit']})
  await once(child.stdout, 'data')
  if (child.pid === undefined) throw new Error('exec was not started')
  return child.pid
}

/** Whether a thread of `pid` does. */
export function waitsForServer(pid: number): boolean {
  return readdirSync(`/proc/${pid}/task`).some(
    (tid) => readFileSync(`/proc/${pid}/task/${tid}/wchan`, 'latin1') === 'request_wait_answer',
  )
}
