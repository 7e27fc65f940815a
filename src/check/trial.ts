// Tries this very program out: a container that makes one node, and one over the current directory.

import {execFile} from 'node:child_process'
import {accessSync, constants, mkdtempSync, readFileSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {fileURLToPath} from 'node:url'

import {packageFile} from '../package-files.js'

export interface Trial {
  readonly works: boolean
  /** The container came up, whatever became of the command. */
  readonly started: boolean
  /** Strategy of the node that was made, where one was. */
  readonly strategy: string | undefined
  /** Without our name. */
  readonly failure: string
  readonly hints: readonly string[]
  /** What a person would be told although it works. */
  readonly notes: readonly string[]
}

const TIMEOUT_MS = 30_000

/** Writes a device node into a directory of its own, which is removed again. */
export async function tryNode(): Promise<Trial> {
  const directory = mkdtempSync(join(writable(['/var/tmp', tmpdir(), '/dev/shm']), 'interceptor-check-'))
  const log = join(directory, 'log')
  try {
    const flags = ['--mknod', '--log-format', 'json', '--log-file', log]
    const trial = await run(directory, flags, ['sh', '-c', 'mknod node c 1 3 && : > node'])
    return {...trial, ...readLog(log)}
  } finally {
    rmSync(directory, {recursive: true, force: true})
  }
}

/** Whether the current directory can be handed to a container. Nothing is written. */
export function tryCurrentDirectory(): Promise<Trial> {
  return run(process.cwd(), [], ['true'])
}

function run(cwd: string, flags: readonly string[], command: readonly string[]): Promise<Trial> {
  const words = [fileURLToPath(packageFile('bin/run.js')), 'run', '--no-config', ...flags, '--', ...command]
  return new Promise((resolve) => {
    const options = {cwd, timeout: TIMEOUT_MS, killSignal: 'SIGKILL', maxBuffer: 1 << 20} as const
    execFile(process.execPath, words, options, (error, _stdout, stderr) => {
      const lines = stderr.split('\n').filter((line) => line !== '')
      const own = lines.filter((line) => line.startsWith('interceptor: ')).map((line) => line.slice(13))
      const hints = lines.filter((line) => line.startsWith('hint: ')).map((line) => line.slice(6))
      const killed = error?.killed === true ? `it did not end within ${TIMEOUT_MS / 1000} s` : undefined
      resolve({
        works: error === null,
        started: error === null || (error.code !== 125 && error.killed !== true),
        strategy: undefined,
        failure: error === null ? '' : (killed ?? own.at(-1) ?? lines.at(-1) ?? error.message),
        hints,
        notes: error === null ? own : own.slice(0, -1),
      })
    })
  })
}

function readLog(file: string): Pick<Trial, 'strategy'> & Partial<Pick<Trial, 'started'>> {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch {
    return {strategy: undefined}
  }
  const records = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as {event?: string; strategy?: string; verdict?: string})
  return {
    strategy: records.find(({verdict}) => verdict === 'emulated')?.strategy,
    started: records.some(({event}) => event === 'start'),
  }
}

function writable(directories: readonly string[]): string {
  const found = directories.find((directory) => {
    try {
      accessSync(directory, constants.W_OK | constants.X_OK)
      return true
    } catch {
      return false
    }
  })
  return found ?? tmpdir()
}
