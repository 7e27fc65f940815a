// Signals and job control on the supervisor's side: the command decides what a signal does, we follow it.

import {readFileSync} from 'node:fs'
import {constants} from 'node:os'

import type {LaunchedContainer} from './index.js'

/**
 * SIGTTIN and SIGTTOU keep their default: they stop us with the whole process group, and the shell continues all of it.
 * SIGUSR1 would start Node's inspector.
 */
const FORWARDED = [
  'SIGINT',
  'SIGTERM',
  'SIGHUP',
  'SIGQUIT',
  'SIGUSR1',
  'SIGUSR2',
  'SIGALRM',
  'SIGWINCH',
] as const satisfies readonly NodeJS.Signals[]

/** Node itself ignores SIGPIPE, so nothing is known of how that one came. */
const SIGPIPE = constants.signals.SIGPIPE

/** Signals that were ignored when we were started, as by nohup(1), and stay so for the command: SigIgn of proc_pid_status(5). */
export function ignoredSignals(): readonly number[] {
  const mask = /^SigIgn:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1]
  const bits = BigInt(`0x${mask ?? '0'}`)
  return Array.from({length: 64}, (_, index) => index + 1).filter(
    (signal) => signal !== SIGPIPE && ((bits >> BigInt(signal - 1)) & 1n) === 1n,
  )
}

/** Whoever sends one of these wants the process to end; keyboards send the others, for the command to make of it what it wants. */
const ASKS_FOR_END: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGHUP']
/** The same once the command has ended. */
const ENDS_US: readonly NodeJS.Signals[] = [...ASKS_FOR_END, 'SIGINT', 'SIGQUIT']
/** For so long the reader of a log may take nothing after that. */
const PATIENCE_MS = 5000

/** A signal ended the wait for what was still to be written. */
export class GivenUp extends Error {
  readonly signal: number

  constructor(signal: number) {
    super(`ended by signal ${signal}`)
    this.name = 'GivenUp'
    this.signal = signal
  }
}

/** Signals on their way to the command. */
export class FollowedSignals {
  readonly #handlers: ReadonlyMap<NodeJS.Signals, () => void>
  #asked: number | undefined
  #giveUp: ((signal: number) => void) | undefined

  /** Passes them on until `stop`. */
  constructor(container: LaunchedContainer) {
    this.#handlers = new Map<NodeJS.Signals, () => void>([
      ...FORWARDED.map((name) => [name, () => this.#receive(name, container)] as const),
      // The terminal stops the command first: an editor restores the screen before it stops. stopWithCommand() follows.
      ['SIGTSTP', () => undefined],
      ['SIGCONT', () => container.resume()],
    ])
    for (const [name, handler] of this.#handlers) process.on(name, handler)
  }

  /** They are the process's own again. */
  stop(): void {
    for (const [name, handler] of this.#handlers) process.off(name, handler)
  }

  /**
   * Waits for what is still to be written after the end of the container. Nobody may be reading it: a signal ends the
   * wait, and so does one that has asked for the end before, once `written` stays the same.
   *
   * @throws GivenUp
   */
  async patiently<T>(writing: Promise<T>, written: () => number): Promise<T> {
    let timer: NodeJS.Timeout | undefined
    const givenUp = new Promise<never>((_resolve, reject) => {
      this.#giveUp = (signal) => reject(new GivenUp(signal))
      let before = written()
      timer = setInterval(() => {
        if (this.#asked !== undefined && written() === before) this.#giveUp?.(this.#asked)
        before = written()
      }, PATIENCE_MS)
    })
    try {
      return await Promise.race([writing, givenUp])
    } finally {
      clearInterval(timer)
      this.#giveUp = undefined
    }
  }

  #receive(name: NodeJS.Signals, container: LaunchedContainer): void {
    const signal = constants.signals[name]
    if (this.#giveUp !== undefined && ENDS_US.includes(name)) this.#giveUp(signal)
    else {
      if (ASKS_FOR_END.includes(name)) this.#asked = signal
      container.forward(signal)
    }
  }
}

/** The command was stopped: so are we, and the shell sees it, unless nobody could ever continue us. */
export function stopWithCommand(): void {
  if (!isOrphanedGroup(process.pid)) process.kill(process.pid, 'SIGSTOP')
}

interface ProcessGroup {
  readonly parent: number
  readonly group: number
  readonly session: number
}

/**
 * Whether no ancestor outside our process group is in our session (setpgid(2), "orphaned process group"): there is no
 * shell that does job control. Only ancestors are looked at; a sibling of the group with such a parent has the same.
 */
function isOrphanedGroup(pid: number): boolean {
  const own = processGroup(pid)
  if (own === undefined) return true
  for (let parent = own.parent, limit = 64; parent > 0 && limit > 0; limit--) {
    const ancestor = processGroup(parent)
    if (ancestor?.session !== own.session) return true
    if (ancestor.group !== own.group) return false
    parent = ancestor.parent
  }
  return true
}

/** Fields 4 to 6 of proc_pid_stat(5). */
function processGroup(pid: number): ProcessGroup | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const [parent, group, session] = text
      .slice(text.lastIndexOf(')') + 4)
      .split(' ')
      .map(Number)
    return parent === undefined || group === undefined || session === undefined ? undefined : {parent, group, session}
  } catch {
    return undefined
  }
}
