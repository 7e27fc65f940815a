// The machine that was measured: what a reader needs to compare the figures with others.

import {readFileSync, statfsSync} from 'node:fs'
import {arch, cpus, loadavg, release, totalmem} from 'node:os'
import {join} from 'node:path'

import {PROJECT} from './subjects/programs.js'

export interface Machine {
  readonly kernel: string
  readonly architecture: string
  readonly processor: string
  readonly processors: number
  readonly memoryBytes: number
  /** Whether the processor says that a hypervisor runs it. */
  readonly isVirtual: boolean
  /** Of the directory in which files are made. */
  readonly fileSystem: string
  readonly system: string
  readonly node: string
  readonly v8: string
  readonly interceptor: string
  readonly isRoot: boolean
  /** Over 1, 5 and 15 minutes, before anything was started. */
  readonly load: readonly number[]
}

/** Magic numbers of statfs(2). */
const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  0xef53: 'ext4',
  0x0102_1994: 'tmpfs',
  0x5846_5342: 'xfs',
  0x9123_683e: 'btrfs',
  0x794c_7630: 'overlay',
}
/** A busy neighbour changes absolute times, and what is left of caches. */
const LOAD_MAX = 0.25

export function describeMachine(): Machine {
  const all = cpus()
  const {version} = JSON.parse(readFileSync(join(PROJECT, 'package.json'), 'utf8')) as {readonly version: string}
  const {type} = statfsSync('/var/tmp')
  return {
    kernel: release(),
    architecture: arch(),
    processor: all[0]?.model.trim() ?? 'unknown',
    processors: all.length,
    memoryBytes: totalmem(),
    isVirtual: /^flags\s*:.*\bhypervisor\b/mu.test(readFileSync('/proc/cpuinfo', 'latin1')),
    fileSystem: FILE_SYSTEMS[type] ?? `0x${type.toString(16)}`,
    system: systemName(),
    node: process.version,
    v8: process.versions.v8,
    interceptor: version,
    isRoot: process.getuid?.() === 0,
    load: loadavg(),
  }
}

/** A line to be printed where the machine is busy with something else. */
export function loadWarning({load, processors}: Machine): string | undefined {
  const [now = 0] = load
  if (now <= LOAD_MAX * processors) return undefined
  return `bench: warning: the load is ${now.toFixed(2)} on ${processors} processors: trust the ratios, not the times`
}

export function machineLines(machine: Machine): readonly string[] {
  const {kernel, architecture, processor, processors, memoryBytes, isVirtual, fileSystem, system} = machine
  const gibibytes = Math.round(memoryBytes / 2 ** 30)
  const [one = 0, five = 0, fifteen = 0] = machine.load
  return [
    `${system}, Linux ${kernel} ${architecture}${isVirtual ? ', virtual' : ''}; /var/tmp is ${fileSystem}`,
    `${processors} x ${processor}, ${gibibytes} GiB; load ${one.toFixed(2)} ${five.toFixed(2)} ${fifteen.toFixed(2)}`,
    `interceptor ${machine.interceptor}, Node ${machine.node}, as ${machine.isRoot ? 'root' : 'an ordinary user'}`,
  ]
}

function systemName(): string {
  try {
    return /^PRETTY_NAME="?([^"\n]*)/mu.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'Linux'
  } catch {
    return 'Linux'
  }
}
