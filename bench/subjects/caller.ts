// A process that makes system calls on demand and times them (bench/native/caller.c), alone or under a supervisor.

import {spawn} from 'node:child_process'
import type {ChildProcess} from 'node:child_process'
import {once} from 'node:events'
import {createInterface} from 'node:readline'

import {BenchError} from '../errors.js'
import type {Context, Series} from '../figure.js'
import {INTERCEPTOR, LOOP, placeCaller} from './programs.js'

/** Kinds of bench/native/kinds.c. */
export type Kind =
  | 'bare'
  | 'bpf'
  | 'getppid'
  | 'mixed'
  | 'mknod'
  | 'mount'
  | 'openat'
  | 'recorded'
  | 'refused'
  | 'sched'
  | 'setxattr'
  | 'sysinfo'
  | 'unlinkat'

/** One round in nanoseconds: quantiles of all its calls, and the time from the first to the last. */
export interface Round {
  readonly calls: number
  readonly wallNs: number
  readonly min: number
  readonly p25: number
  readonly p50: number
  readonly p75: number
  readonly p90: number
  readonly p99: number
  readonly max: number
}

interface Answer extends Round {
  readonly unexpected: number
  readonly errno: number
}

const END_GRACE_MS = 5000
/** No round of any figure takes as long; what does hangs. */
const ROUND_LIMIT_MS = 300_000
const COMPLAINT_MAX = 2000

export interface CallerOptions {
  readonly kind: Kind
  /** The most that a round may ask for. */
  readonly processes?: number
  /** Where it works, and makes its files. */
  readonly directory: string
  /** Linked with the system's libraries, for what preloads another. */
  readonly isDynamic?: boolean
}

export interface InterceptorOptions extends CallerOptions {
  readonly flags: readonly string[]
  /** What becomes of decisions; not shown when left out. */
  readonly output?: readonly string[]
  /** A program that runs interceptor, see terminal.c. */
  readonly around?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

const SILENT = ['--quiet', '--trace', 'none']

export class Caller {
  readonly pid: number
  readonly #name: string
  readonly #process: ChildProcess
  readonly #lines: AsyncIterator<string>
  readonly #signal: AbortSignal
  #complaint = ''

  private constructor(context: Context, name: string, words: readonly string[], cwd: string, env = {}) {
    const [command = '', ...rest] = words
    // Its own process group: Ctrl-C is ours to pass on, in the order in which things are undone.
    const child = spawn(command, rest, {
      cwd,
      env: {...process.env, ...env},
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    })
    this.#name = name
    this.#process = child
    this.#signal = context.signal
    this.#lines = createInterface({input: child.stdout})[Symbol.asyncIterator]()
    child.stderr.on('data', (bytes: Buffer) => {
      if (this.#complaint.length < COMPLAINT_MAX) this.#complaint += bytes.toString()
    })
    child.on('error', (error) => (this.#complaint += error.message))
    // What it says of its end is in the complaint.
    child.stdin.on('error', () => undefined)
    this.pid = child.pid ?? 0
    context.defer(() => this.end())
  }

  /** The plain system calls of whoever runs the benchmark. `around`: a program that runs it. */
  static plainly(context: Context, options: CallerOptions, around: readonly string[] = []): Caller {
    return new Caller(context, 'the plain calls', [...around, ...callerWords(options)], options.directory)
  }

  /** Under the loop in C. */
  static underLoop(context: Context, mode: 'bare' | 'continue' | 'mknod' | 'sysinfo', options: CallerOptions): Caller {
    return new Caller(context, `the C loop (${mode})`, [LOOP, mode, ...callerWords(options)], options.directory)
  }

  /** Under the built program, in a container. */
  static underInterceptor(context: Context, options: InterceptorOptions): Caller {
    const {flags, output = SILENT, around = [], env, directory} = options
    const run = [process.execPath, INTERCEPTOR, 'run', '--no-config', ...output, ...flags, '--']
    return new Caller(context, 'interceptor', [...around, ...run, ...callerWords(options)], directory, env)
  }

  /** Under another program, which is started by `words` and runs what follows them in `directory`, as it sees it. */
  static under(context: Context, name: string, words: readonly string[], options: CallerOptions, env = {}): Caller {
    return new Caller(context, name, [...words, ...callerWords(options)], options.directory, env)
  }

  /** `processes`, released together, make `calls` calls each. Throws where one call ended otherwise than it must. */
  async round(processes: number, calls: number): Promise<Round> {
    this.#signal.throwIfAborted()
    this.#process.stdin!.write(`${processes} ${calls}\n`)
    const line = await this.#next()
    const {unexpected, errno, ...round} = JSON.parse(line) as Answer
    if (unexpected === 0) return round
    throw new BenchError(`cannot measure ${this.#name}: ${unexpected} calls ended with errno ${errno}${this.#told()}`)
  }

  /** Closes its input, which ends it and a supervisor around it; kills what does not end. Safe to call twice. */
  async end(): Promise<void> {
    const child = this.#process
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.stdin!.end()
    const timer = setTimeout(() => child.kill('SIGTERM'), END_GRACE_MS)
    const last = setTimeout(() => child.kill('SIGKILL'), 2 * END_GRACE_MS)
    await ended
    clearTimeout(timer)
    clearTimeout(last)
  }

  async #next(): Promise<string> {
    let stopWaiting = (): void => undefined
    const interrupted = new Promise<never>((_, reject) => {
      const abort = (): void => reject(this.#signal.reason as Error)
      const tooLate = (): void => reject(new BenchError(`cannot measure ${this.#name}: a round did not end`))
      const limit = setTimeout(tooLate, ROUND_LIMIT_MS)
      this.#signal.addEventListener('abort', abort)
      stopWaiting = () => {
        clearTimeout(limit)
        this.#signal.removeEventListener('abort', abort)
      }
    })
    try {
      const line = await Promise.race([this.#lines.next(), interrupted])
      if (line.done !== true) return line.value
      throw new BenchError(`cannot measure ${this.#name}: it ended${this.#told()}`)
    } finally {
      stopWaiting()
    }
  }

  #told(): string {
    const text = this.#complaint.trim()
    return text === '' ? '' : `\n${text}`
  }
}

function callerWords({kind, processes = 1, directory, isDynamic = false}: CallerOptions): readonly string[] {
  return [placeCaller(directory, isDynamic), kind, String(processes)]
}

/** The median call of each round, with its 99th percentile. */
export function latencyOf(name: string, rounds: readonly Round[]): Series {
  return {name, unit: 'ns', values: rounds.map(({p50}) => p50), p99: rounds.map(({p99}) => p99)}
}

/** Of all processes together, from the first call to the last. */
export function throughputOf(name: string, rounds: readonly Round[]): Series {
  return {name, unit: 'calls/s', values: rounds.map(({calls, wallNs}) => (calls / wallNs) * 1e9)}
}
