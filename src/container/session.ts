// A command under supervision, from before it is launched to its end: what run and exec have in common.

import {close} from '../ffi/libc.js'
import type {Composition} from '../intercept/composition.js'
import type {ContainerDescription} from '../intercept/container.js'
import {createSupervisor, type Supervisor} from '../intercept/engine/supervisor.js'
import {reportEnd} from './launch/command-end.js'
import type {ContainerEnd, LaunchedContainer} from './launch/index.js'
import {FollowedSignals, GivenUp} from './launch/signals.js'
import type {Reporter, RunEnd} from './run-options.js'

export interface SessionOptions {
  readonly composition: Composition
  readonly reporter: Reporter
  readonly command: readonly Buffer[]
}

/** How one kind of session differs from the other at its end. */
export interface Ending {
  /** The end of the command; that of `launched` when left out. */
  readonly ended?: (launched: LaunchedContainer) => Promise<ContainerEnd>
  /** When the last decision is written and before the end is reported. Signals are our own meanwhile. */
  readonly finish?: ((end: ContainerEnd) => Promise<void>) | undefined
  /** Directories of the host that the container does not see. */
  readonly hidden?: readonly Buffer[]
}

export class Session {
  readonly #options: SessionOptions
  readonly #supervisor: Supervisor | undefined
  #launched: LaunchedContainer | undefined
  /** What ended supervision before the command ended. */
  #fatal: Error | undefined
  #hasEnded = false
  /** Nobody waits for the supervisor any more: the process is about to end. */
  #isGivenUp = false

  /** The worker starts at once, while the container is planned and made. */
  constructor(options: SessionOptions) {
    this.#options = options
    const {composition, reporter} = options
    if (composition.calls.size === 0) return
    this.#supervisor = createSupervisor({
      composition,
      wanted: reporter.wanted,
      onBatch: (batch) => reporter.batch(batch),
      onFatal: (error) => this.#abort(error),
    })
  }

  /** From here on what was launched ends with its supervision; its listener is closed by `close`. */
  set launched(launched: LaunchedContainer) {
    this.#launched = launched
  }

  /** Answers calls, if any are intercepted: only then the command may start. `kept`: of the families, by their names. */
  async supervise(describe: () => ContainerDescription, kept: Readonly<Record<string, unknown>>): Promise<void> {
    const listener = this.#launched?.listener
    if (listener === undefined || this.#supervisor === undefined) return
    const {reporter} = this.#options
    const {entries, notes} = await this.#supervisor.attach({listener, container: describe(), kept})
    reporter.found(entries)
    for (const note of notes) await reporter.note(note)
  }

  /**
   * Lets the command start and follows it to its end; signals go to the command.
   *
   * @throws InterceptorError where the command did not start, or supervision could not go on
   */
  async follow(launched: LaunchedContainer, {ended, finish, hidden}: Ending = {}): Promise<RunEnd> {
    const {reporter, command} = this.#options
    // Before the command can say that it is ready for them.
    const signals = new FollowedSignals(launched)
    const patiently = <T>(writing: Promise<T>) => signals.patiently(writing, () => reporter.written)
    try {
      launched.go()
      const end = await (ended?.(launched) ?? launched.ended)
      this.#hasEnded = true
      // The last decisions are written before anything is said of the end.
      await patiently(this.#supervisor?.stop() ?? Promise.resolve())
      if (this.#fatal !== undefined) throw this.#fatal
      if (finish !== undefined) {
        signals.stop()
        await finish(end)
      }
      return await patiently(reportEnd(reporter, end, command, hidden))
    } catch (error) {
      if (!(error instanceof GivenUp)) throw error
      this.#isGivenUp = true
      reporter.giveUp()
      return {kind: 'signalled', signal: error.signal}
    } finally {
      signals.stop()
    }
  }

  /** Also after a failure half-way: what was launched ends. */
  async close(): Promise<void> {
    if (!this.#hasEnded && this.#launched !== undefined) {
      this.#launched.kill()
      // The failure before is the one that is reported.
      await this.#launched.ended.catch(() => undefined)
    }
    if (!this.#isGivenUp) await this.#supervisor?.stop()
    if (this.#launched?.listener !== undefined) close(this.#launched.listener)
  }

  /** Without supervision the container must not go on. */
  #abort(error: Error): void {
    this.#fatal ??= error
    this.#launched?.kill()
  }
}
