// How an ordinary user's supervisor becomes root of a user namespace: interceptor-init enters one and executes Node
// again with the same words, before anything heavy is loaded. The second time a variable of the environment tells how
// it went; it is taken away before anyone else sees it.

import {accessSync, constants, readFileSync} from 'node:fs'

import {helperPath} from '../../native-helper.js'
import {chooseRootlessMaps, formatIdMap, isInitialUserNamespace, nestedMap, readIdSources} from './idmap.js'
import type {IdMaps} from './idmap.js'
import {MARKER, environmentForNode, ownCommandLine} from '../launch/process-args.js'
import {isPrivileged, mayMapIds, ownPrivileges} from './privileges.js'
import type {Privileges} from './privileges.js'

/** In step with enum outcome_stage of native/userns.c. */
const STAGES = ['entered', 'unshare', 'uid-map', 'gid-map', 'join'] as const

/** Why only one id is mapped: no range is the user's, or the programs that map one are missing, or they failed. */
export type SingleReason = 'helper-failed' | 'no-helper' | 'no-range'

/** What became of entering a user namespace. */
export interface Entry {
  readonly stage: (typeof STAGES)[number]
  readonly errno: number
  /** Undefined where a range of ids is mapped. */
  readonly single: SingleReason | undefined
  /** Who started us, in the namespace that we came from. */
  readonly uid: number
  readonly gid: number
}

/** Where root keeps setuid programs; never the caller's PATH. */
const HELPER_DIRECTORIES = ['/usr/bin', '/bin', '/usr/local/bin', '/usr/sbin', '/sbin', '/usr/local/sbin']

/**
 * Executes this program again in a user namespace. Comes back the second time, with how that went, and with undefined
 * for root of the host, who needs none.
 */
export async function enterUserNamespace(): Promise<Entry | undefined> {
  const entry = takeEntry()
  if (entry !== undefined) return entry
  const privileges = ownPrivileges()
  if (isPrivileged(privileges)) return undefined
  return executeAgain((words) => helperWords(privileges, ownIdentity(), words))
}

/** How entering went, where this is the second time. */
export function takeEntry(): Entry | undefined {
  const marker = process.env[MARKER]
  Reflect.deleteProperty(process.env, MARKER)
  const entry = marker === undefined ? undefined : parseMarker(marker, ownIdentity())
  // Root of the host has entered nothing, whatever its environment says.
  return entry?.stage === 'entered' && isInitialUserNamespace(ownPrivileges().uidMap) ? undefined : entry
}

/** Executes this program again in the user namespace of the process that `pidfd` stands for. */
export async function enterNamespaceOf(pidfd: number): Promise<never> {
  const {uid, gid} = ownPrivileges()
  return executeAgain(
    (words) => [
      ...['interceptor-init', 'enter', `${MARKER}=${ownIdentity()}:${uid}:${gid}:none:`, String(pidfd)].map(bytesOf),
      bytesOf(process.execPath),
      ...words,
    ],
    [pidfd],
  )
}

async function executeAgain(
  helper: (words: readonly Buffer[]) => readonly Buffer[],
  kept: readonly number[] = [],
): Promise<never> {
  const {execve, keepOverExec} = await import('../../ffi/exec.js')
  const words = ownWords()
  for (const fd of [0, 1, 2, ...kept, ...namedDescriptors(words)]) keepOverExec(fd)
  return execve(helperPath(), helper(words), environmentForNode(words))
}

function bytesOf(text: string): Buffer {
  return Buffer.from(text)
}

function ownIdentity(): string {
  return `${process.pid}:${startTime()}`
}

/** @param text value of the variable: PID:START:UID:GID:REASON, then STAGE:ERRNO:HELPERS of interceptor-init */
export function parseMarker(text: string, identity: string): Entry | undefined {
  const match = /^(\d+:\d+):(\d+):(\d+):(none|no-range|no-helper):(\d+):(\d+):(\d+)$/.exec(text)
  if (match?.[1] !== identity) return undefined
  const [, , uid, gid, reason, stage, errno, helpers] = match
  const asked = reason === 'no-range' || reason === 'no-helper' ? reason : undefined
  return {
    stage: STAGES[Number(stage)] ?? 'unshare',
    errno: Number(errno),
    single: asked ?? (helpers === '0' ? undefined : 'helper-failed'),
    uid: Number(uid),
    gid: Number(gid),
  }
}

interface MapChoice extends IdMaps {
  /** Undefined: we may write the maps ourselves. */
  readonly helpers: readonly [string, string] | undefined
  readonly single: SingleReason | undefined
}

/** Which ids the supervisor's user namespace gets, and who writes them. */
export function chooseMaps(
  privileges: Privileges,
  sources = readIdSources(),
  find: (name: string) => string | undefined = findHelper,
): MapChoice {
  const {uid, gid} = privileges
  const {single, ...maps} = chooseRootlessMaps(sources, {uid, gid})
  if (mayMapIds(privileges)) {
    const own = {uidMap: nestedMap(firstIds(privileges.uidMap)), gidMap: nestedMap(firstIds(privileges.gidMap))}
    return {...(single ? own : maps), helpers: undefined, single: undefined}
  }
  const none = {uidMap: [], gidMap: [], helpers: undefined}
  if (single) return {...none, single: 'no-range'}
  const [newuidmap, newgidmap] = [find('newuidmap'), find('newgidmap')]
  if (newuidmap === undefined || newgidmap === undefined) return {...none, single: 'no-helper'}
  return {...maps, helpers: [newuidmap, newgidmap], single: undefined}
}

/** The maps of the user namespace that enterUserNamespace() would enter, unless newuidmap(1) or newgidmap(1) fail. */
export function mapsToEnter(privileges: Privileges): IdMaps {
  const {uidMap, gidMap} = chooseMaps(privileges)
  const one = (outside: number) => [{inside: 0, outside, count: 1}]
  return {
    uidMap: uidMap.length === 0 ? one(privileges.uid) : uidMap,
    gidMap: gidMap.length === 0 ? one(privileges.gid) : gidMap,
  }
}

const COMPLETE = 65_536

/** Of all ids of a host only those that belong to people and services: enough for any image. */
function firstIds(map: IdMaps['uidMap']): IdMaps['uidMap'] {
  return map.length === 1 ? map.map((extent) => ({...extent, count: Math.min(extent.count, COMPLETE)})) : map
}

function helperWords(privileges: Privileges, identity: string, words: readonly Buffer[]): readonly Buffer[] {
  const {uid, gid} = privileges
  const {uidMap, gidMap, helpers, single} = chooseMaps(privileges)
  return [
    ...[
      'interceptor-init',
      'userns',
      `${MARKER}=${identity}:${uid}:${gid}:${single ?? 'none'}:`,
      ...(helpers ?? ['-', '-']),
      formatIdMap(uidMap),
      formatIdMap(gidMap),
      `0 ${uid} 1`,
      `0 ${gid} 1`,
      process.execPath,
    ].map((word) => Buffer.from(word)),
    ...words,
  ]
}

/** Our own command line as it was typed, Node's part included. A rewritten process title is none. */
function ownWords(): readonly Buffer[] {
  const words = ownCommandLine()
  const known = [process.argv0, ...process.execArgv, ...process.argv.slice(1)].map((word) => Buffer.from(word))
  return words.length === known.length ? words : known
}

/** Descriptors that words name as files, as a shell's <(...) does: they are for us to open. */
function namedDescriptors(words: readonly Buffer[]): readonly number[] {
  return words.flatMap((word) =>
    [...word.toString('latin1').matchAll(/\/(?:dev|proc\/self)\/fd\/(\d{1,5})/g)].map(([, digits]) => Number(digits)),
  )
}

function findHelper(name: string): string | undefined {
  return HELPER_DIRECTORIES.map((directory) => `${directory}/${name}`).find((path) => {
    try {
      accessSync(path, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/** Field 22 of proc_pid_stat(5): with the pid, an identity that no other process has. */
function startTime(): string {
  const text = readFileSync('/proc/self/stat', 'latin1')
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? ''
}
