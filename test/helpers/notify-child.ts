// A process under a filter of ours, supervised by the engine itself: native/test/notify-child.c does what it is told.

import {execFileSync, spawn} from 'node:child_process'
import type {ChildProcess} from 'node:child_process'
import {existsSync, mkdtempSync, rmSync, statSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {createInterface} from 'node:readline'
import {fileURLToPath} from 'node:url'

import {close, pidfd_getfd, pidfd_open} from '../../src/ffi/libc.js'
import {isTold} from '../../src/intercept/decision.js'
import type {CountedDecision, Decision, DecisionBatch, Wanted} from '../../src/intercept/decision.js'
import {Composition} from '../../src/intercept/composition.js'
import {createSupervisor} from '../../src/intercept/engine/supervisor.js'
import type {Supervisor} from '../../src/intercept/engine/supervisor.js'
import type {AnyFamily} from '../../src/intercept/family.js'
import {until} from './processes.js'

export const MAP = {inside: 0, outside: 100_000, count: 65_536} as const

export interface Answered {
  readonly result: number
  readonly errno: number
}

export interface NotifyChildOptions {
  readonly module: string
  readonly family: AnyFamily
  readonly stuckMs?: number
  readonly wanted?: Wanted
  readonly onBatch?: (batch: DecisionBatch) => Promise<void> | void
}

/** The compiled program; throws where there is no C compiler. */
export function buildNotifyChild(): string {
  const source = fileURLToPath(new URL('../../native/test/notify-child.c', import.meta.url))
  const directory = mkdtempSync(join(tmpdir(), 'notify-child-'))
  const program = join(directory, 'notify-child')
  execFileSync('cc', ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror', '-pthread', '-o', program, source])
  return program
}

export class NotifyChild {
  readonly decisions: Decision[] = []
  readonly counted: CountedDecision[] = []
  readonly silent: Record<string, number> = {}
  readonly fatal: Error[] = []
  readonly pid: number
  readonly supervisor: Supervisor
  readonly #process: ChildProcess
  readonly #lines: AsyncIterator<string>
  readonly #listener: number
  readonly #directory: string

  private constructor(
    process: ChildProcess,
    lines: AsyncIterator<string>,
    directory: string,
    pid: number,
    fd: number,
    options: NotifyChildOptions,
  ) {
    this.#process = process
    this.#lines = lines
    this.#directory = directory
    this.pid = pid
    const pidfd = pidfd_open(pid, 0)
    this.#listener = pidfd_getfd(pidfd, fd)
    close(pidfd)
    this.supervisor = createSupervisor({
      composition: new Composition({policy: {}, rootless: false}),
      familyModules: [options.module],
      ...(options.stuckMs === undefined ? {} : {stuckMs: options.stuckMs}),
      ...(options.wanted === undefined ? {} : {wanted: options.wanted}),
      onBatch: async (batch) => {
        for (const decision of batch.decisions) {
          if (isTold(decision)) this.decisions.push(decision)
          else this.counted.push(decision)
        }
        for (const [name, count] of Object.entries(batch.silent)) this.silent[name] = (this.silent[name] ?? 0) + count
        await options.onBatch?.(batch)
      },
      onFatal: (error) => this.fatal.push(error),
    })
    const namespace = (name: string): number => statSync(`/proc/${pid}/ns/${name}`).ino
    void this.supervisor.attach({
      listener: this.#listener,
      container: {
        name: 'test',
        initPid: pid,
        namespaces: {user: namespace('user'), mnt: namespace('mnt'), pid: namespace('pid')},
        uidMap: [MAP],
        gidMap: [MAP],
        rootless: false,
        startedMs: 0,
      },
    })
  }

  static async start(program: string, options: NotifyChildOptions): Promise<NotifyChild> {
    const directory = mkdtempSync(join(tmpdir(), 'notify-'))
    // Workers get a copy of the environment.
    process.env['PROBE_IN_CALL'] = join(directory, 'in-call')
    const filter = join(directory, 'filter')
    writeFileSync(filter, new Composition({policy: {}, rootless: false, families: [options.family]}).notify!.bytes)
    const map = `${MAP.inside}:${MAP.outside}:${MAP.count}`
    const child = spawn(program, [filter, map], {stdio: ['pipe', 'pipe', 'inherit']})
    const lines = createInterface({input: child.stdout})[Symbol.asyncIterator]()
    const number = async (): Promise<number> => Number(String((await lines.next()).value).split(' ')[1])
    const pid = await number()
    const listener = await number()
    return new NotifyChild(child, lines, directory, pid, listener, options)
  }

  /** One line of operation; see notify-child.c. */
  async run(...words: (number | string)[]): Promise<Answered> {
    this.#process.stdin!.write(`${words.join(' ')}\n`)
    const line = await this.#lines.next()
    if (line.done === true) throw new Error('the child is gone')
    const [result = NaN, errno = NaN] = line.value.split(' ').map(Number)
    return {result, errno}
  }

  /** Does not wait for an answer. */
  send(...words: (number | string)[]): void {
    this.#process.stdin!.write(`${words.join(' ')}\n`)
  }

  async next(): Promise<Answered> {
    const [result = NaN, errno = NaN] = String((await this.#lines.next()).value)
      .split(' ')
      .map(Number)
    return {result, errno}
  }

  /** Waits until the hot worker is in a call of sched_getscheduler; see probe-family.ts. */
  inCall(): Promise<void> {
    return until(() => existsSync(join(this.#directory, 'in-call')), 'the worker is in the call')
  }

  kill(): void {
    process.kill(this.pid, 'SIGKILL')
  }

  /** Ends the child and supervision; everything is in `decisions` then. */
  async end(): Promise<void> {
    this.#process.stdin!.end()
    await this.supervisor.stop()
    close(this.#listener)
    // Killing the waiting parent ends the child too (PR_SET_PDEATHSIG).
    this.#process.kill('SIGKILL')
    rmSync(this.#directory, {recursive: true})
  }
}
