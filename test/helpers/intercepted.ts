// Runs a command in a real container under a real supervisor, from a plan built by hand, and gives back every decision.

import {execFileSync} from 'node:child_process'
import {closeSync, copyFileSync, existsSync, readFileSync, readdirSync, renameSync, statSync} from 'node:fs'
import {basename, dirname, join} from 'node:path'
import {fileURLToPath} from 'node:url'

import type {ContainerCgroup} from '../../src/container/cgroup/index.js'
import {describeProcess} from '../../src/container/describe-process.js'
import {superBlocksAtLaunch} from '../../src/container/filesystem/super-blocks.js'
import {launch} from '../../src/container/launch/index.js'
import type {ContainerEnd, LaunchedContainer} from '../../src/container/launch/index.js'
import type {FilesystemStep, LaunchPlan} from '../../src/container/plan.js'
import {Composition} from '../../src/intercept/composition.js'
import type {ContainerDescription} from '../../src/intercept/container.js'
import {isTold} from '../../src/intercept/decision.js'
import type {Decision} from '../../src/intercept/decision.js'
import type {Policy} from '../../src/intercept/policy.js'
import {createSupervisor} from '../../src/intercept/engine/supervisor.js'
import {bytes, planOf, steps} from './launch-plan.js'

export interface InterceptedRun {
  readonly end: ContainerEnd
  /** stdout and stderr of the command. */
  readonly output: string
  readonly decisions: readonly Decision[]
  readonly silent: Readonly<Record<string, number>>
}

/** Where the command finds `directory`, idmapped, and writes its output. */
export const WORK = '/mnt'

export async function runIntercepted(
  directory: string,
  command: readonly string[],
  policy: Policy,
  changes: Partial<LaunchPlan> = {},
  extraSteps: readonly FilesystemStep[] = [],
  cgroup?: ContainerCgroup,
): Promise<InterceptedRun> {
  const decisions: Decision[] = []
  const silent: Record<string, number> = {}
  const fatal: Error[] = []
  let kill: () => void = () => undefined
  const composition = new Composition({policy, rootless: false})
  const supervisor = createSupervisor({
    composition,
    onBatch(batch) {
      decisions.push(...batch.decisions.filter(isTold))
      for (const [name, count] of Object.entries(batch.silent)) silent[name] = (silent[name] ?? 0) + count
    },
    onFatal(error) {
      fatal.push(error)
      kill()
    },
  })
  const words = command.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ')
  const plan = planOf(['sh', '-c', `exec ${words} > ${WORK}/.output 2>&1`], {
    filesystem: [...steps(), work(directory), ...extraSteps],
    notifyFilter: composition.notify?.bytes,
    waitKillable: true,
    workdir: bytes(WORK),
    ...changes,
  })
  let listener: number | undefined
  try {
    const container = await launch(plan, {mapped: (pid) => cgroup?.join(pid)})
    kill = () => container.kill()
    listener = container.listener
    if (listener !== undefined) void supervisor.attach({listener, container: describe(container, plan, cgroup)})
    container.go()
    const end = await container.ended
    const [error] = fatal
    if (error !== undefined) throw error
    await supervisor.stop()
    const file = join(directory, '.output')
    return {end, output: existsSync(file) ? readFileSync(file, 'utf8') : '', decisions, silent}
  } finally {
    // Its threads would keep the tests from ending.
    await supervisor.stop()
    if (listener !== undefined) closeSync(listener)
  }
}

function describe({initPid}: LaunchedContainer, plan: LaunchPlan, cgroup?: ContainerCgroup): ContainerDescription {
  const superBlocks = superBlocksAtLaunch(initPid, plan.filesystem)
  const own = cgroup?.description
  return describeProcess(initPid, {...plan, ...(own && {cgroup: own}), ...(superBlocks && {superBlocks})})
}

function work(directory: string): FilesystemStep {
  return {kind: 'bind', source: bytes(directory), target: bytes(WORK), idmap: true, recursive: false, flags: {}}
}

/** Builds a C program of native/test, once for each change there, where a container can see it. Needs a C compiler. */
export function buildTestProgram(name: string, directory: string): string {
  const source = fileURLToPath(new URL(`../../native/test/${name}.c`, import.meta.url))
  const program = join(directory, basename(name))
  const changed = lastChange(source)
  if (!existsSync(program) || statSync(program).mtimeMs < changed) {
    // A compiler takes longer than most tests.
    const kept = fileURLToPath(new URL(`../../native/build/test-${name.replaceAll('/', '-')}`, import.meta.url))
    if (!existsSync(kept) || statSync(kept).mtimeMs < changed) compile(source, program, kept)
    else copyFileSync(kept, program)
  }
  return join(WORK, basename(name))
}

/** Of a program or of any header beside it. */
function lastChange(source: string): number {
  const directory = dirname(source)
  const headers = readdirSync(directory).filter((name) => name.endsWith('.h'))
  return Math.max(...[source, ...headers.map((name) => join(directory, name))].map((path) => statSync(path).mtimeMs))
}

/** Into `program`, and into `kept` for the next time where the user may write there. */
function compile(source: string, program: string, kept: string): void {
  execFileSync('cc', ['-std=gnu11', '-O1', '-Wall', '-Wextra', '-Werror', '-static', '-pthread', '-o', program, source])
  try {
    copyFileSync(program, `${kept}.${process.pid}`)
    renameSync(`${kept}.${process.pid}`, kept)
  } catch {
    // An ordinary user builds it each time.
  }
}
