// A second command in a container that runs, with a listener and supervision of its own. As run.ts, without making or
// removing anything.

import {readlinkSync} from 'node:fs'
import {setTimeout as sleep} from 'node:timers/promises'

import {LaunchError, UnavailableError, UsageError} from '../errors.js'
import {close, pidfd_getfd, pidfd_open, retryInterrupted} from '../ffi/libc.js'
import {Composition} from '../intercept/composition.js'
import {adoptFamilies, type PreparedFamilies} from '../intercept/engine/prepared.js'
import {probeNotifier} from '../intercept/filter/probe.js'
import type {Policy} from '../intercept/policy.js'
import {SIGKILL} from '../kernel/constants.js'
import {joinCgroupOf} from './cgroup/of.js'
import {decodeControl, type Control} from './control.js'
import {describeProcess, idMapsOf} from './describe-process.js'
import {commandEnvironment} from './launch/environment.js'
import {launch, type ContainerEnd, type LaunchedContainer} from './launch/index.js'
import {restoreOpenFiles} from './launch/limits.js'
import {ignoredSignals, stopWithCommand} from './launch/signals.js'
import type {LaunchPlan} from './plan.js'
import type {ExecOptions, Reporter, RunEnd} from './run-options.js'
import {Session} from './session.js'
import {findRun, isAlive, stateDirectory, type ProcessIdentity, type RunState} from './state.js'
import {isPrivileged, ownPrivileges} from './userns/privileges.js'
import {enterNamespaceOf, type Entry} from './userns/reexecute.js'

/** How long a container takes to end at most, once its first processes are gone. */
const LAST_WAIT_MS = 1000
const LAST_PAUSE_MS = 10

/** A container that can be entered: its init is held by `pidfd`, so that the number can't become another process. */
export interface Target {
  readonly state: RunState
  readonly init: ProcessIdentity
  readonly pidfd: number
  /** What its supervisor may do for it. */
  readonly given: Composition
  /** What the command may have done for it: the container's, or less. */
  readonly composition: Composition
}

/**
 * Finds the container, and goes to where its supervisor is: that of an ordinary user lives in a user namespace, in which
 * this program is executed again; `entry` tells the second time how that went.
 *
 * @throws UsageError for a name that nobody has, or flags that allow more than the container has.
 */
export async function openTarget(container: string, asked: Policy | undefined, entry?: Entry): Promise<Target> {
  const privileges = ownPrivileges()
  const state = findRun(
    stateDirectory({uid: entry?.uid ?? privileges.uid, runtimeDirectory: process.env['XDG_RUNTIME_DIR']}),
    container,
  )
  const {init, name, supervisor, policy, rootless} = state
  if (state.pidNamespace !== readlinkSync('/proc/self/ns/pid'))
    throw new LaunchError(`cannot enter ${name}: it was started in another pid namespace`, {
      hints: ['run exec where interceptor run was started'],
    })
  if (init === undefined) throw new LaunchError(`cannot enter ${name}: it is still being made`, {hints: ['try again']})
  const given = new Composition({policy, rootless})
  const composition = asked === undefined ? given : new Composition({policy: asked, rootless})
  const excess = composition.beyond(given)
  if (excess.length > 0)
    throw new UsageError(`cannot allow more than ${name} was started with: ${excess.join(', ')}`, {
      hints: ['flags of exec can only narrow what the container may do; leave them out, or start it with them'],
    })
  if (entry !== undefined && entry.stage !== 'entered') throw cannotEnter(name)
  if (namespaceOf(supervisor.pid) !== namespaceOf('self')) {
    if (entry !== undefined) throw cannotEnter(name)
    await enterNamespaceOf(hold(supervisor, name))
  }
  if (!rootless && !isPrivileged(privileges))
    throw new UnavailableError(`cannot enter ${name}: root started it`, {hints: ['be root with all its capabilities']})
  return {state, init, pidfd: hold(init, name), given, composition}
}

/** Runs the command to its end, and ends what it left behind. */
export async function execInContainer(options: ExecOptions, target: Target, reporter: Reporter): Promise<RunEnd> {
  const exec = new Exec(options, target, reporter)
  try {
    return await exec.toTheEnd()
  } finally {
    await exec.cleanUp()
  }
}

class Exec {
  readonly #options: ExecOptions
  readonly #target: Target
  readonly #reporter: Reporter
  readonly #control: Control
  readonly #session: Session
  #families: Pick<PreparedFamilies, 'close' | 'kept'> | undefined

  constructor(options: ExecOptions, target: Target, reporter: Reporter) {
    this.#options = options
    this.#target = target
    this.#reporter = reporter
    this.#control = decodeControl(target.state)
    this.#session = new Session({composition: target.composition, reporter, command: options.command})
  }

  async toTheEnd(): Promise<RunEnd> {
    return this.#session.follow(await this.#launch(), {ended: (launched) => this.#ended(launched)})
  }

  async cleanUp(): Promise<void> {
    await this.#session.close()
    this.#families?.close()
    close(this.#target.pidfd)
  }

  async #launch(): Promise<LaunchedContainer> {
    const {init, composition} = this.#target
    this.#families = this.#adopt()
    const {kept} = this.#families
    const plan = this.#plan()
    const launched = await launch(plan, {mapped: (pid) => this.#join(pid), stopped: stopWithCommand})
    this.#session.launched = launched
    await this.#reporter.start({...plan, initPid: init.pid, policy: composition.policy})
    const {name, rootless} = plan
    const {superBlocks} = this.#control
    await this.#session.supervise(
      () => describeProcess(init.pid, {name, rootless, ...(superBlocks && {superBlocks})}),
      kept,
    )
    return launched
  }

  /** Objects that the policy names, as the container's own supervisor holds them. */
  #adopt(): Pick<PreparedFamilies, 'close' | 'kept'> {
    const {state, given, composition} = this.#target
    const supervisor = hold(state.supervisor, state.name)
    try {
      return adoptFamilies(composition.families, given.families, this.#control.objects, (fd) =>
        retryInterrupted(() => pidfd_getfd(supervisor, fd)),
      )
    } finally {
      close(supervisor)
    }
  }

  /** Nothing of the container's has run in the session yet: from here on its limits and its device rule hold. */
  #join(session: number): void {
    const {state, init} = this.#target
    const joined = joinCgroupOf(init.pid, session)
    if (joined.length === 0 && !state.rootless)
      throw new LaunchError(`cannot enter ${state.name}: it is no longer in the cgroup that restricts its devices`)
    restoreOpenFiles(session)
  }

  #plan(): LaunchPlan {
    const {state, init, pidfd, composition} = this.#target
    const {command, environment, user} = this.#options
    const {denyFilter, hostname, hasRootfs, workdir: ownWorkdir} = this.#control
    const {name, rootless} = state
    const workdir = this.#options.workdir ?? ownWorkdir
    return {
      name,
      join: pidfd,
      rootless,
      ...idMapsOf(init.pid),
      filesystem: [],
      network: readlinkSync(`/proc/${init.pid}/ns/net`) === readlinkSync('/proc/self/ns/net') ? 'host' : 'none',
      hostname,
      insistsOnHostname: false,
      ...user,
      workdir,
      environment: commandEnvironment(environment, {
        inherited: process.env,
        hasRootfs,
        uid: user.uid,
        pwd: workdir,
      }),
      command,
      ignoredSignals: ignoredSignals(),
      denyFilter,
      notifyFilter: composition.notify?.bytes,
      waitKillable: probeNotifier().waitKillable,
      terminal: undefined,
      remove: [],
    }
  }

  /** The end of the container is the command's end too: its PID 1 takes everything along. */
  async #ended(launched: LaunchedContainer): Promise<ContainerEnd> {
    try {
      return await launched.ended
    } catch (error) {
      // PID 1 is the last to go: it waits for the others (zap_pid_ns_processes() in kernel/pid_namespace.c).
      for (let waited = 0; isAlive(this.#target.init); waited += LAST_PAUSE_MS) {
        if (waited >= LAST_WAIT_MS) throw error
        await sleep(LAST_PAUSE_MS)
      }
      await this.#reporter.note(`${this.#target.state.name} has ended, and the command with it`)
      return {kind: 'signaled', signal: SIGKILL, coreDumped: false}
    }
  }
}

/** A pidfd of exactly this process. */
function hold(identity: ProcessIdentity, name: string): number {
  try {
    const pidfd = pidfd_open(identity.pid, 0)
    if (isAlive(identity)) return pidfd
    close(pidfd)
  } catch {
    // Gone, as below.
  }
  throw new LaunchError(`cannot enter ${name}: it has just ended`)
}

function namespaceOf(pid: number | 'self'): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/user`)
  } catch {
    return undefined
  }
}

function cannotEnter(name: string): UnavailableError {
  return new UnavailableError(`cannot enter the user namespace of ${name}`, {
    hints: ['run exec as the user who started it, and outside of any other container'],
  })
}
