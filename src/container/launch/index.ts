// Carries out a LaunchPlan with interceptor-init and follows the container to its end.

import {closeSync, rmdirSync, statSync, unlinkSync, writeFileSync, writeSync} from 'node:fs'
import {constants} from 'node:os'
import {setTimeout as sleep} from 'node:timers/promises'

import {LaunchError} from '../../errors.js'
import {streamPair} from '../../ffi/descriptors.js'
import {memfd_create, takeDescriptor} from '../../ffi/process.js'
import {spawn, waitFor} from '../../ffi/spawn.js'
import type {IdMapExtent} from '../../intercept/container.js'
import {SIGKILL} from '../../kernel/constants.js'
import {ERRNO} from '../../kernel/errno.js'
import {helperPath} from '../../native-helper.js'
import type {LaunchPlan} from '../plan.js'
import {Channel, MESSAGES} from './channel.js'
import type {Message} from './channel.js'
import {launchFailure} from './failure.js'
import {encodePlan} from './native-plan.js'

export {helperPath} from '../../native-helper.js'

export type ContainerEnd =
  | {readonly kind: 'exited'; readonly status: number}
  | {readonly kind: 'signaled'; readonly signal: number; readonly coreDumped: boolean}
  /** `notFound`: no such file; else it can't be executed. `exists`: the file is there, its interpreter is not. */
  | {readonly kind: 'not-started'; readonly errno: number; readonly notFound: boolean; readonly exists: boolean}

export interface LaunchHooks {
  /** The id maps are written and nothing else has happened yet: join cgroups here. */
  readonly mapped: (initPid: number) => void
  /** The container is gone, its cgroups are not removed yet. Answers why the kernel killed of it, where it did. */
  readonly gone?: () => string | undefined
  /** A signal stopped the command, which has not been continued since. */
  readonly stopped?: () => void
}

export interface LaunchedContainer {
  readonly initPid: number
  /** Ours to close, close-on-exec; undefined when nothing is intercepted. */
  readonly listener: number | undefined
  /** Lets the command start. Supervision of the listener must have begun. */
  go(): void
  /** Passes a signal that we got on to the command, unless the whole process group got it. */
  forward(signal: number): void
  /** We were continued after a stop: so is the command, with its terminal if we are in the foreground. */
  resume(): void
  /** Resolves when no process of the container is left and `remove` of the plan is done. */
  readonly ended: Promise<ContainerEnd>
  kill(): void
}

/** Time for a signal to reach the whole process group before we ask who got it. */
const GROUP_SIGNAL_MS = 15

/** Where nothing of ours can be below: the directory is covered in the launcher's own mount namespace. */
const STAGES = ['/mnt', '/media', '/srv', '/opt', '/tmp', '/usr']

/** The helper has begun when this returns. At the caller's next `await` this thread waits for what the helper says. */
export async function launch(plan: LaunchPlan, hooks: LaunchHooks): Promise<LaunchedContainer> {
  const launching = new Launch(plan, hooks)
  await Promise.resolve()
  return launching.begin()
}

class Launch {
  readonly #plan: LaunchPlan
  readonly #hooks: LaunchHooks
  readonly #pid: number
  readonly #control: Channel
  readonly #init: Channel
  readonly #hasEnded = withResolvers<ContainerEnd>()
  #started: LaunchedContainer | undefined
  #initPid = 0
  /** How often we were continued. */
  #resumed = 0
  #failure: unknown
  #end: ContainerEnd | undefined
  #initStatus: number | undefined
  /** Why the kernel killed something in the container. */
  #killed: string | undefined
  #isKilled = false
  /** The launcher is no process any more. */
  #isWaitedFor = false
  #open = 2

  constructor(plan: LaunchPlan, hooks: LaunchHooks) {
    this.#plan = plan
    this.#hooks = hooks
    // Whoever waits for `ended` sees the failure; that nobody does is no bug.
    this.#hasEnded.promise.catch(() => undefined)
    const helper = helperPath()
    const {join} = plan
    // The same place: one is for `launch`, the other for `join`.
    const last = join ?? plan.spawner
    const bytes = encodePlan(plan, join === undefined ? stageFor(plan) : '/')
    const ours: number[] = []
    const theirs: number[] = []
    try {
      for (let pairs = 0; pairs < 2; pairs++) {
        const [our, their] = streamPair()
        ours.push(our)
        theirs.push(their)
      }
      theirs.push(memoryFile(bytes))
      // Then come CONTROL_FD, INIT_FD, PLAN_FD, and JOIN_FD or SPAWNER_FD of native/interceptor-init.h.
      const streams = [0, plan.stdoutToStderr === true ? 2 : 1, 2]
      const words = [helper, join === undefined ? 'launch' : 'join']
      this.#pid = spawn(helper, words, [...streams, ...theirs, ...(last === undefined ? [] : [last])])
    } catch (cause) {
      for (const fd of ours) closeSync(fd)
      throw new LaunchError('cannot start the native helper', {cause})
    } finally {
      for (const fd of theirs) closeSync(fd)
    }
    ;[this.#control, this.#init] = ours.map((fd) => new Channel(fd)) as [Channel, Channel]
  }

  /** Resolves when the command is held back before its first system call. */
  async begin(): Promise<LaunchedContainer> {
    try {
      return await this.#begin()
    } catch (error) {
      // Where it can no longer be told to end: PID 1 goes with it (PR_SET_PDEATHSIG).
      if (this.#isWaitedFor) throw error
      process.kill(this.#pid, 'SIGKILL')
      waitFor(this.#pid)
      throw error
    }
  }

  async #begin(): Promise<LaunchedContainer> {
    while (this.#started === undefined) {
      const message = Channel.next([this.#control, this.#init])
      if (message === undefined) {
        await this.#settle()
        return await this.#neverStarted()
      }
      this.#receive(message)
    }
    setImmediate(() => {
      for (const channel of [this.#control, this.#init])
        channel.follow(
          (message) => this.#receive(message),
          () => this.#closed(),
        )
    })
    return this.#started
  }

  #receive(message: Message): void {
    switch (message.type) {
      case MESSAGES.inner:
        this.#map(message.a)
        break
      case MESSAGES.failed:
        this.#fail(launchFailure(message.a, message.b, message.c, this.#plan))
        break
      case MESSAGES.ready:
        this.#ready(message.a)
        break
      case MESSAGES.answer:
        if (message.b === 0) this.#init.send(MESSAGES.signal, message.a)
        break
      case MESSAGES.stopped:
        afterSignals(() => this.#control.send(MESSAGES.confirm, this.#resumed))
        break
      case MESSAGES.confirm:
        afterSignals(() => this.#stopped(message.a))
        break
      case MESSAGES.ended:
        this.#end = endOf(message)
        break
      case MESSAGES.gone:
        this.#gone(message.a)
        break
    }
  }

  #map(pid: number): void {
    this.#initPid = pid
    try {
      if (this.#plan.join === undefined) writeMaps(pid, this.#plan)
    } catch (cause) {
      this.#fail(new LaunchError("cannot write the container's id maps", {cause, hints: idMapHints(cause)}))
      this.#kill()
      return
    }
    try {
      this.#hooks.mapped(pid)
    } catch (error) {
      this.#fail(error)
      this.#kill()
      return
    }
    this.#control.send(MESSAGES.mapped)
    // While the file system is staged.
    Channel.prepareToFollow()
  }

  #ready(listener: number): void {
    try {
      this.#started = {
        initPid: this.#initPid,
        listener: listener < 0 ? undefined : takeDescriptor(this.#initPid, listener),
        go: () => this.#init.send(MESSAGES.go),
        forward: (signal) => void this.#forward(signal),
        resume: () => this.#resume(),
        ended: this.#hasEnded.promise,
        kill: () => this.#kill(),
      }
    } catch (cause) {
      this.#fail(new LaunchError("cannot take the listener from the container's init", {cause}))
      this.#kill()
    }
  }

  async #forward(signal: number): Promise<void> {
    await sleep(GROUP_SIGNAL_MS)
    this.#control.send(MESSAGES.ask, signal)
  }

  #resume(): void {
    this.#resumed++
    this.#control.send(MESSAGES.continue)
  }

  /**
   * A stop of the whole process group (SIGTTIN, SIGTTOU) stops us before we hear of it, and we hear of it when the group
   * has been continued. So init is asked whether it still holds, and its answer counts if nothing continued us meanwhile.
   */
  #stopped(resumed: number): void {
    if (resumed === this.#resumed) this.#hooks.stopped?.()
  }

  /** Before the container is mapped the launcher waits for one message and takes any other as the end. */
  #kill(): void {
    this.#isKilled = true
    this.#control.send(MESSAGES.kill)
  }

  #gone(status: number): void {
    this.#initStatus = status
    try {
      this.#killed = this.#hooks.gone?.()
    } catch (error) {
      this.#fail(error)
    }
    this.#control.send(MESSAGES.bye)
  }

  #fail(error: unknown): void {
    this.#failure ??= error
  }

  /** Both sockets are at their end: everything that was said has been heard, and the launcher exits. */
  #closed(): void {
    this.#open--
    if (this.#open === 0) this.#settle().catch((error: unknown) => this.#hasEnded.reject(error))
  }

  async #settle(): Promise<void> {
    const status = waitFor(this.#pid)
    this.#isWaitedFor = true
    if (this.#initStatus === undefined) await removeAll(this.#plan.remove)
    const failure = this.#failure ?? (this.#end === undefined ? this.#earlyEnd(status) : undefined)
    if (failure === undefined) this.#hasEnded.resolve(this.#end!)
    else this.#hasEnded.reject(failure)
  }

  async #neverStarted(): Promise<never> {
    await this.#hasEnded.promise
    throw new LaunchError('cannot start the command: it was ended before it could begin')
  }

  #earlyEnd(launcher: number): LaunchError | undefined {
    if (this.#isKilled) {
      this.#end = {kind: 'signaled', signal: SIGKILL, coreDumped: false}
      return undefined
    }
    if (this.#initStatus === undefined)
      return new LaunchError(`cannot go on: the launcher ended early (${describeStatus(launcher)})`)
    const how = (this.#initStatus === SIGKILL ? this.#killed : undefined) ?? describeStatus(this.#initStatus)
    const which = this.#plan.join === undefined ? "the container's init" : `what started it in ${this.#plan.name}`
    return new LaunchError(`cannot go on: ${which} ended early (${how})`)
  }
}

/** A SIGCONT that woke us up is handled in the same turn of the event loop as the messages that waited for us. */
function afterSignals(action: () => void): void {
  setImmediate(action)
}

/** Node 20 has no Promise.withResolvers. */
function withResolvers<T>(): {
  promise: Promise<T>
  resolve: (value: T) => void
  reject: (reason: unknown) => void
} {
  let resolve!: (value: T) => void
  let reject!: (reason: unknown) => void
  const promise = new Promise<T>((accept, refuse) => {
    resolve = accept
    reject = refuse
  })
  return {promise, resolve, reject}
}

function memoryFile(bytes: Buffer): number {
  const fd = memfd_create('interceptor-plan')
  for (let written = 0; written < bytes.length;) written += writeSync(fd, bytes, written)
  return fd
}

/** What the launcher removes at the end must not be hidden from it by the stage. */
function stageFor(plan: LaunchPlan): string {
  const isFree = (stage: string): boolean =>
    statSync(stage, {throwIfNoEntry: false})?.isDirectory() === true &&
    !plan.remove.some((path) => path.toString('latin1').startsWith(`${stage}/`))
  const stage = STAGES.find(isFree)
  if (stage !== undefined) return stage
  throw new LaunchError(`cannot build the container's root: none of ${STAGES.join(', ')} is a free directory`)
}

function writeMaps(pid: number, {uidMap, gidMap}: LaunchPlan): void {
  writeFileSync(`/proc/${pid}/uid_map`, mapText(uidMap))
  writeFileSync(`/proc/${pid}/gid_map`, mapText(gidMap))
}

function mapText(map: readonly IdMapExtent[]): string {
  return map.map(({inside, outside, count}) => `${inside} ${outside} ${count}\n`).join('')
}

function idMapHints(cause: unknown): readonly string[] {
  const code = (cause as NodeJS.ErrnoException).code
  return code === 'EPERM' ? ['Choose host ids that this user may hand on; each extent must lie in one of its own'] : []
}

/** Of a wait status (wait(2)). */
function describeStatus(status: number): string {
  const signal = status & 0x7f
  if (signal === 0) return `status ${status >> 8}`
  const [name] = Object.entries(constants.signals).find(([, number]) => number === signal) ?? [`signal ${signal}`]
  return name
}

function endOf({a: status, b: errno, c: exists}: Message): ContainerEnd {
  if (errno !== 0) return {kind: 'not-started', errno, notFound: errno === ERRNO.ENOENT, exists: exists !== 0}
  const signal = status & 0x7f
  if (signal !== 0) return {kind: 'signaled', signal, coreDumped: (status & 0x80) !== 0}
  return {kind: 'exited', status: (status >> 8) & 0xff}
}

/** Only where the launcher died first, which removes these itself: the last processes are on their way out. */
async function removeAll(paths: readonly Buffer[]): Promise<void> {
  for (const path of paths) {
    for (let tries = 100; tries > 0; tries--) {
      const code = remove(path)
      if (code !== 'EBUSY') break
      await sleep(10)
    }
  }
}

function remove(path: Buffer): string | undefined {
  try {
    rmdirSync(path)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code !== 'ENOTDIR') return code
    unlinkSync(path)
  }
  return undefined
}
