// Decisions and the other records as JSON lines; schemas/decision-log.schema.json describes them.

import {constants} from 'node:os'

import type {RunEnd, StartSummary} from '../container/run-options.js'
import type {Decision} from '../intercept/decision.js'
import {jsonBytes} from '../intercept/escape.js'
import type {Arguments, Json} from '../intercept/syscall.js'
import type {Counts} from './summary.js'
import type {Vocabulary} from './trace.js'
import {inOrder} from './trace.js'

type Members = Readonly<Record<string, Json>>

export function decisionRecord(decision: Decision, seq: number, vocabulary: Vocabulary): Members {
  const declared = vocabulary.describe(decision.syscall)
  const decoded = decision.values !== undefined && declared !== undefined
  return {
    v: 1,
    seq,
    time: new Date(decision.timeMs).toISOString(),
    pid: decision.pid,
    tid: decision.tid,
    host_pid: decision.hostPid,
    uid: decision.uid,
    gid: decision.gid,
    comm: decision.comm,
    arch: decision.abi,
    syscall: decision.syscall,
    args: decoded ? jsonArguments(decision.values, declared) : null,
    ...(decoded || decision.registers === undefined ? {} : {registers: decision.registers.map(hex)}),
    verdict: decision.outcome,
    strategy: decision.strategy,
    result: decision.errno === null ? decision.result : -1,
    errno: decision.errno === null ? null : vocabulary.errnoName(decision.errno),
    reason: decision.reason,
    hint: decision.hint,
    latency_us: Math.round(decision.latencyUs * 10) / 10,
  }
}

export function startRecord(summary: StartSummary, timeMs: number): Members {
  return {
    v: 1,
    event: 'start',
    time: new Date(timeMs).toISOString(),
    name: summary.name,
    rootless: summary.rootless,
    init_pid: summary.initPid,
    command: summary.command.map(jsonBytes),
    workdir: jsonBytes(summary.workdir),
    hostname: summary.hostname,
    network: summary.network,
    uid: summary.uid,
    gid: summary.gid,
    uid_map: summary.uidMap.map(({count, inside, outside}) => ({inside, outside, count})),
    gid_map: summary.gidMap.map(({count, inside, outside}) => ({inside, outside, count})),
    policy: toJson(summary.policy),
    configuration: summary.configuration ?? null,
  }
}

/** `status` is the command's own. */
export function exitRecord(end: RunEnd, counts: Counts, timeMs: number): Members {
  return {
    v: 1,
    event: 'exit',
    time: new Date(timeMs).toISOString(),
    status: end.kind === 'exited' ? end.status : null,
    signal: end.kind === 'signalled' ? signalName(end.signal) : null,
    counts: {...counts},
  }
}

export function noteRecord(text: string, timeMs: number): Members {
  return {v: 1, event: 'note', time: new Date(timeMs).toISOString(), text}
}

/** One line. What JSON allows but a terminal would act on is escaped as well. */
export function jsonLine(record: Members): string {
  return `${JSON.stringify(record).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, escapeUnits)}\n`
}

export function signalName(signal: number): string {
  const named = Object.entries(constants.signals).find(([name, number]) => number === signal && name !== 'SIGIOT')
  if (named !== undefined) return named[0]
  // signal(7): glibc keeps the first two real-time signals to itself.
  return signal >= 34 && signal <= 64 ? `SIGRTMIN+${signal - 34}` : `SIG${signal}`
}

/** Plain data as JSON: bytes as text or base64, bigints as text, what is undefined left out. */
export function toJson(value: unknown): Json {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number') return Number.isFinite(value) ? value : null
  if (typeof value === 'bigint') return String(value)
  if (value instanceof Uint8Array) return jsonBytes(value)
  if (Array.isArray(value)) return value.map(toJson)
  if (typeof value !== 'object') return null
  const members = Object.entries(value).filter(([, member]) => member !== undefined)
  return Object.fromEntries(members.map(([name, member]) => [name, toJson(member)]))
}

function jsonArguments(values: Readonly<Record<string, unknown>>, declared: Arguments): Json {
  return Object.fromEntries(
    inOrder(values, declared).map(([argument, value, name]) => {
      try {
        return [name, argument.json(value)]
      } catch {
        return [name, null]
      }
    }),
  )
}

function hex(register: bigint): string {
  return `0x${register.toString(16)}`
}

function escapeUnits(character: string): string {
  return Array.from(
    {length: character.length},
    (_, index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`,
  ).join('')
}
