// Whole programs, timed from their start to their end.

import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {performance} from 'node:perf_hooks'

import {BenchError} from '../errors.js'
import type {Context, Series} from '../figure.js'

export interface Timed {
  readonly seconds: number
  /** Of all processes that were waited for. */
  readonly userSeconds: number
  readonly systemSeconds: number
}

export interface Program {
  readonly name: string
  readonly words: readonly string[]
  readonly cwd: string
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly uid?: number
  readonly gid?: number
}

const COMPLAINT_MAX = 4000
/** times(1p): the shell's own times, then those of its children. */
const WITH_TIMES = '"$@"; status=$?; times >&3; exit "$status"'
const END_GRACE_MS = 5000

/** Seconds from its start to its end, which must be a good one. */
export async function timeProgram(context: Context, program: Program): Promise<number> {
  return (await run(context, program, program.words)).seconds
}

/** The same with the processor's time, under a shell: for what takes much longer than one. */
export async function timeJob(context: Context, program: Program): Promise<Timed> {
  const {seconds, told} = await run(context, program, ['sh', '-c', WITH_TIMES, 'sh', ...program.words])
  const [userSeconds, systemSeconds] = [...told.matchAll(/(\d+)m([\d.]+)s/gu)]
    .map(([, minutes, rest]) => Number(minutes) * 60 + Number(rest))
    .slice(2)
  if (userSeconds === undefined || systemSeconds === undefined) {
    throw new BenchError(`cannot read the times of ${program.name}: ${JSON.stringify(told)}`)
  }
  return {seconds, userSeconds, systemSeconds}
}

interface Ended {
  readonly seconds: number
  /** Written to descriptor 3. */
  readonly told: string
}

async function run(context: Context, program: Program, [command = '', ...words]: readonly string[]): Promise<Ended> {
  context.signal.throwIfAborted()
  const {name, cwd, env, uid, gid} = program
  const begin = performance.now()
  // Its own process group, so that we can end all of it. Pipes alone: a container runtime makes its standard streams
  // belong to root of the container (crun does), and /dev/null is the whole host's.
  const child = spawn(command, words, {
    cwd,
    env: {...process.env, ...env},
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    detached: true,
    ...(uid !== undefined && {uid}),
    ...(gid !== undefined && {gid}),
  })
  child.stdin.on('error', () => undefined)
  child.stdin.end()
  child.stdout.resume()
  let end = begin
  let complaint = ''
  let told = ''
  child.on('exit', () => (end = performance.now()))
  child.stderr.on('data', (bytes: Buffer) => (complaint = (complaint + bytes.toString()).slice(-COMPLAINT_MAX)))
  ;(child.stdio[3] as NodeJS.ReadableStream).on('data', (bytes: Buffer) => (told += bytes.toString()))
  const stop = (): void => {
    endGroup(child.pid, 'SIGTERM')
    setTimeout(() => endGroup(child.pid, 'SIGKILL'), END_GRACE_MS).unref()
  }
  context.signal.addEventListener('abort', stop)
  try {
    const [status, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
    context.signal.throwIfAborted()
    if (status === 0) return {seconds: (end - begin) / 1000, told}
    throw new BenchError(`cannot measure ${name}: it ended with ${signal ?? status ?? '?'}\n${complaint.trim()}`)
  } finally {
    context.signal.removeEventListener('abort', stop)
  }
}

function endGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, signal)
  } catch {
    // Over already.
  }
}

export function secondsOf(name: string, values: readonly number[]): Series {
  return {name, unit: 's', values}
}
