// Containers that run while a test looks at them: started from the command line, ended after the test.

import {spawn} from 'node:child_process'
import type {ChildProcess} from 'node:child_process'
import {randomBytes} from 'node:crypto'
import {once} from 'node:events'
import {readlinkSync} from 'node:fs'

import {descendantsOf} from './processes.js'
import {INTERCEPTOR} from './program.js'

export interface Running {
  readonly name: string
  readonly supervisor: ChildProcess & {readonly pid: number}
  /** What the supervisor and the command wrote so far. */
  readonly written: () => string
}

/** Inode of the namespace in which its processes have their numbers; see membersOf(). */
export function pidNamespaceOf({supervisor}: Running): number {
  const own = readlinkSync('/proc/self/ns/pid')
  const links = descendantsOf(supervisor.pid).map((pid) => readlinkSync(`/proc/${pid}/ns/pid`))
  const other = links.find((link) => link !== own)
  if (other === undefined) throw new Error('the container has no process')
  return Number(/\d+/u.exec(other)?.[0])
}

type Start = (cwd: string, flags: readonly string[], script?: string, env?: NodeJS.ProcessEnv) => Promise<Running>

/**
 * In a describe callback. `script` is for sh; the container is ready when it has written `ready`. `env` is added to the
 * environment of the supervisor.
 */
export function runningContainers(): Start {
  const children: ChildProcess[] = []
  after(async () => {
    for (const child of children.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      child.kill('SIGTERM')
      await once(child, 'exit')
    }
  })
  return async (cwd, flags, script = 'echo ready; exec sleep 300', env = {}) => {
    const name = `test-${randomBytes(4).toString('hex')}`
    const words = [INTERCEPTOR, 'run', '--name', name, ...flags, '--', 'sh', '-c', script]
    const child = spawn(process.execPath, words, {
      cwd,
      env: {...process.env, ...env},
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    children.push(child)
    let text = ''
    await new Promise<void>((resolve, reject) => {
      const read = (bytes: Buffer) => {
        text += bytes.toString('latin1')
        if (text.includes('ready\n')) resolve()
      }
      child.stdout.on('data', read)
      child.stderr.on('data', read)
      child.on('exit', () => reject(new Error(`the container ended: ${text}`)))
    })
    if (child.pid === undefined) throw new Error('the container has no supervisor')
    return {name, supervisor: Object.assign(child, {pid: child.pid}), written: () => text}
  }
}
