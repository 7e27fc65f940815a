// One run from its options to its end: plan, launch, supervise, clean up. Nothing here decides about calls.

import {socketPair} from '../ffi/descriptors.js'
import {close} from '../ffi/libc.js'
import type {Composition} from '../intercept/composition.js'
import {prepareFamilies, type PreparedFamilies} from '../intercept/engine/prepared.js'
import {probeNotifier} from '../intercept/filter/probe.js'
import {createCgroup, removeStaleCgroups, type CgroupOptions, type ContainerCgroup} from './cgroup/index.js'
import {renewMoves} from './cgroup/move.js'
import {findHierarchies, thisHost, type Hierarchies, unifiedMountPoint} from './cgroup/tree.js'
import {encodeControl} from './control.js'
import {describeProcess} from './describe-process.js'
import type {Export} from './export/index.js'
import {deviceRules, standardTerminal} from './filesystem/devices.js'
import {NamedPlaces} from './filesystem/named-places.js'
import {prepareFilesystem, type PreparedFilesystem} from './filesystem/prepare.js'
import {superBlocksAtLaunch} from './filesystem/super-blocks.js'
import {commandEnvironment, variable} from './launch/environment.js'
import {launch, type ContainerEnd, type LaunchedContainer} from './launch/index.js'
import {restoreOpenFiles} from './launch/limits.js'
import {ignoredSignals, stopWithCommand} from './launch/signals.js'
import type {LaunchPlan} from './plan.js'
import type {Reporter, RunEnd, RunOptions} from './run-options.js'
import {Session} from './session.js'
import {StateRecord, identify, stateDirectory} from './state.js'
import {unsupportedNotes} from './unsupported.js'
import {entryWarnings, requireEntered} from './userns/entry-advice.js'
import {chooseIdMaps, ownIdMaps, toHost, type IdMaps} from './userns/idmap.js'
import type {Entry} from './userns/reexecute.js'

/**
 * Runs the command to its end. Nothing of the container is left when the promise settles. With `entry` we are root of a
 * user namespace that an ordinary user made; without, root of the host.
 *
 * @throws InterceptorError when it could not be started, or when supervision could not go on.
 */
export async function runContainer(
  options: RunOptions,
  composition: Composition,
  reporter: Reporter,
  entry?: Entry,
): Promise<RunEnd> {
  if (entry !== undefined) requireEntered(entry)
  const run = new Run(options, composition, reporter, entry)
  try {
    return await run.toTheEnd()
  } finally {
    await run.cleanUp()
  }
}

class Run {
  readonly #options: RunOptions
  readonly #composition: Composition
  readonly #reporter: Reporter
  readonly #entry: Entry | undefined
  readonly #session: Session
  #state: StateRecord | undefined
  #cgroup: ContainerCgroup | undefined
  #families: PreparedFamilies | undefined
  #places: NamedPlaces | undefined
  #export: Export | undefined
  /** Directories of the host that the container does not see. */
  #hidden: readonly Buffer[] = []
  /** Ours, and that of the container until it is launched. */
  #spawner: readonly [ours: number, theirs: number] | undefined

  constructor(options: RunOptions, composition: Composition, reporter: Reporter, entry: Entry | undefined) {
    this.#options = options
    this.#composition = composition
    this.#reporter = reporter
    this.#entry = entry
    this.#session = new Session({composition, reporter, command: options.command})
  }

  async toTheEnd(): Promise<RunEnd> {
    const launched = await this.#launch()
    const archive = this.#export
    const finish = archive && ((end: ContainerEnd) => this.#writeExport(archive, end))
    return this.#session.follow(launched, {finish, hidden: this.#hidden})
  }

  /** Also after a failure half-way: what was made is taken back, in reverse. */
  async cleanUp(): Promise<void> {
    this.#export?.close()
    await this.#session.close()
    this.#cgroup?.destroy()
    this.#families?.close()
    for (const fd of this.#spawner ?? []) close(fd)
    this.#state?.release()
    this.#places?.close()
  }

  async #launch(): Promise<LaunchedContainer> {
    const {container, configuration} = this.#options
    const {policy, rootless} = this.#composition
    const host = thisHost()
    const hierarchies = findHierarchies(host)
    const maps = chooseIdMaps({
      rootless,
      given: container,
      raw: configuration?.idMap,
      own: ownIdMaps,
    })
    const terminal = standardTerminal()
    const places = new NamedPlaces()
    this.#places = places
    const devices = container.devices.map(({path}) => path)
    const families = prepareFamilies(this.#composition.families, {rootless, devices})
    this.#families = families
    places.openAll(container, families.shown)
    const filesystem = prepareFilesystem({
      container,
      families,
      places,
      rootless,
      writesAsRoot: !rootless || toHost(ownIdMaps().uidMap, 0) === 0,
      maps,
      terminal,
      uid: this.#entry?.uid,
      home: variable(this.#options.environment, 'HOME'),
      cgroups: families.ownCgroup === undefined ? undefined : unifiedMountPoint(),
    })
    this.#hidden = filesystem.hidden
    this.#state = StateRecord.claim(this.#stateDirectory(), container.name, {policy, rootless})
    if (!rootless) renewMoves(hierarchies)
    this.#cgroup = this.#makeCgroup(this.#state.state.name, families, {terminal, maps, hierarchies})
    this.#state.update({cgroups: this.#cgroup.directories})
    if (families.spawner) this.#spawner = socketPair()
    const plan = this.#plan(this.#state, maps, filesystem, terminal)
    const warnings = [
      ...entryWarnings(this.#entry),
      ...unsupportedNotes(this.#composition),
      ...filesystem.warnings,
      ...this.#cgroup.warnings,
    ]
    for (const warning of warnings) await this.#reporter.note(warning)
    this.#export = await this.#prepareExport(filesystem, places, maps)
    if (!rootless) renewMoves(hierarchies)
    const launching = launch(plan, {
      mapped: (pid) => {
        this.#cgroup?.join(pid)
        restoreOpenFiles(pid)
      },
      gone: () => (this.#cgroup?.hasLackedMemory() === true ? 'out of memory: raise --memory' : undefined),
      stopped: stopWithCommand,
    })
    // While the native helper begins.
    removeStaleCgroups(host, hierarchies)
    const launched = await launching
    this.#session.launched = launched
    places.close()
    await this.#begin(launched, plan, families)
    return launched
  }

  /** Lets exec find the container, and calls be answered. */
  async #begin({initPid}: LaunchedContainer, plan: LaunchPlan, families: PreparedFamilies): Promise<void> {
    const {policy, rootless} = this.#composition
    const file = this.#options.configuration?.file
    const init = identify(initPid)
    const superBlocks = superBlocksAtLaunch(initPid, plan.filesystem)
    if (init !== undefined) {
      const hasRootfs = this.#options.container.rootfs !== undefined
      const {objects} = families
      this.#state?.update({
        init,
        control: encodeControl({...plan, hasRootfs, objects, ...(superBlocks && {superBlocks})}),
      })
    }
    await this.#reporter.start({...plan, initPid, policy, ...(file !== undefined && {configuration: file})})
    const cgroup = this.#cgroup?.description
    const [spawner] = this.#spawner ?? []
    const known = {
      ...{name: plan.name, rootless},
      ...(cgroup && {cgroup}),
      ...(superBlocks && {superBlocks}),
      ...(spawner !== undefined && {spawner}),
    }
    await this.#session.supervise(() => describeProcess(initPid, known), families.kept)
  }

  async #prepareExport({steps}: PreparedFilesystem, places: NamedPlaces, maps: IdMaps): Promise<Export | undefined> {
    const {export: asked} = this.#options
    if (asked === undefined) return undefined
    const {Export} = await import('./export/index.js')
    const {archived: devices = [], archivedAttributes: trusted = []} = this.#families ?? {}
    return Export.prepare({...asked, places, steps, maps, devices, trusted})
  }

  async #writeExport(archive: Export, end: ContainerEnd): Promise<void> {
    const isWanted = end.kind === 'exited' && end.status === 0
    const notes = isWanted ? await archive.write() : ['nothing is exported, as the command failed']
    for (const note of notes) await this.#reporter.note(note)
  }

  #stateDirectory(): string {
    if (this.#entry === undefined) return stateDirectory({uid: 0, runtimeDirectory: undefined})
    return stateDirectory({uid: this.#entry.uid, runtimeDirectory: process.env['XDG_RUNTIME_DIR']})
  }

  #makeCgroup(
    name: string,
    families: PreparedFamilies,
    {terminal, maps, hierarchies}: {terminal: Buffer | undefined; maps: IdMaps; hierarchies: Hierarchies},
  ): ContainerCgroup {
    const {memoryBytes, pids, cpus} = this.#options.container
    const nodes = [...(this.#places?.devices ?? []), ...(terminal === undefined ? [] : [terminal])]
    const root = {uid: toHost(maps.uidMap, 0) ?? 0, gid: toHost(maps.gidMap, 0) ?? 0}
    const options: CgroupOptions = {
      name,
      rootless: this.#composition.rootless,
      realtime: families.realtime,
      devices: [...families.deviceRules, ...deviceRules(nodes)],
      ...(families.ownCgroup !== undefined && {delegateTo: {...root, flag: families.ownCgroup}}),
      ...(memoryBytes !== undefined && {memoryBytes}),
      ...(pids !== undefined && {pids}),
      ...(cpus !== undefined && {cpus}),
    }
    return createCgroup(options, thisHost(), hierarchies)
  }

  #plan(state: StateRecord, maps: IdMaps, filesystem: PreparedFilesystem, terminal: Buffer | undefined): LaunchPlan {
    const {container, command, environment} = this.#options
    const {rootless, deny, notify} = this.#composition
    const {name} = state.state
    return {
      name,
      rootless,
      ...maps,
      filesystem: filesystem.steps,
      network: container.network,
      hostname: container.hostname ?? name,
      insistsOnHostname: container.hostname !== undefined,
      ...container.user,
      workdir: filesystem.workdir,
      environment: commandEnvironment(environment, {
        inherited: process.env,
        hasRootfs: container.rootfs !== undefined,
        uid: container.user.uid,
        pwd: filesystem.pwd(variable(environment, 'PWD')),
      }),
      command,
      ignoredSignals: ignoredSignals(),
      denyFilter: deny.bytes,
      notifyFilter: notify?.bytes,
      waitKillable: probeNotifier().waitKillable,
      stdoutToStderr: this.#options.export?.file.equals(Buffer.from('-')) === true,
      ...(this.#spawner && {spawner: this.#spawner[1]}),
      terminal,
      remove: [...(this.#cgroup?.directories ?? []), state.file].map((path) => Buffer.from(path)),
    }
  }
}
