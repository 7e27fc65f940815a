// Runs programs as a person does, and gives back everything that they left: status, signal, stdout, stderr.

import {spawnSync} from 'node:child_process'
import {accessSync, constants, existsSync} from 'node:fs'
import {join} from 'node:path'
import {fileURLToPath} from 'node:url'

export const PROJECT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/u, '')
export const INTERCEPTOR = join(PROJECT, 'bin', 'run.js')
export const HELPER = join(PROJECT, 'native', 'build', 'interceptor-init')

export interface Ended {
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface Surroundings {
  readonly cwd?: string
  /** Added to the environment; undefined removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly input?: string
  readonly timeoutMs?: number
  /** Of stdout and stderr; utf8 unless told otherwise. */
  readonly encoding?: 'latin1' | 'utf8'
}

/** Runs the built program. */
export function interceptor(...args: string[]): Ended {
  return interceptorIn({}, ...args)
}

export function interceptorIn(surroundings: Surroundings, ...args: string[]): Ended {
  return programIn(surroundings, process.execPath, INTERCEPTOR, ...args)
}

/** Runs any program; one that can't be started at all is an error of the test. */
export function program(command: string, ...args: string[]): Ended {
  return programIn({}, command, ...args)
}

export function programIn(surroundings: Surroundings, command: string, ...args: string[]): Ended {
  const {cwd = PROJECT, env = {}, input = '', timeoutMs = 50_000, encoding = 'utf8'} = surroundings
  const {status, signal, stdout, stderr, error} = spawnSync(command, args, {
    cwd,
    env: environment(env),
    input,
    encoding,
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
    maxBuffer: 1 << 28,
  })
  if (error !== undefined) throw new Error(`cannot run ${command} ${args.join(' ')}: ${error.message}\n${stderr}`)
  return {status, signal, stdout, stderr}
}

/** Like programIn, but a status other than 0 is an error of the test that shows what the program said. */
export function succeed(surroundings: Surroundings, command: string, ...args: string[]): string {
  const {status, signal, stdout, stderr} = programIn(surroundings, command, ...args)
  if (status === 0) return stdout
  throw new Error(`${command} ${args.join(' ')} ended with ${signal ?? status ?? '?'}:\n${stdout}${stderr}`)
}

/** Along PATH and where Debian keeps the administrator's programs. */
export function hasProgram(name: string): boolean {
  const directories = [...(process.env['PATH'] ?? '').split(':'), '/usr/local/sbin', '/usr/sbin', '/sbin']
  return directories.some((directory) => {
    try {
      accessSync(join(directory, name), constants.X_OK)
      return directory !== ''
    } catch {
      return false
    }
  })
}

export function isRoot(): boolean {
  return process.getuid?.() === 0
}

/** The helper is there, so containers can be made at all. */
export function hasHelper(): boolean {
  return existsSync(HELPER)
}

function environment(changes: Surroundings['env']): NodeJS.ProcessEnv {
  const merged: NodeJS.ProcessEnv = {...process.env, ...changes}
  // What the test runner itself was started with must not change what the program does.
  const runners = ['FORCE_COLOR', 'NODE_OPTIONS', 'MOCHA_COLORS', 'TALLY_FILE']
  const kept = Object.entries(merged).filter(
    ([name, value]) => value !== undefined && !(runners.includes(name) && changes?.[name] === undefined),
  )
  return Object.fromEntries(kept)
}
