// Decisions and the other records as JSON lines; schemas/decision-log.schema.json describes them.

import {constants} from 'node:os'

import type {RunEnd, StartSummary} from '../container/run-options.js'
import type {Decision} from '../intercept/decision.js'
import {jsonBytes} from '../intercept/caller/escape.js'
import {hintText} from '../intercept/hint.js'
import {maskWords} from '../intercept/caller/secrets.js'
import type {Arguments, Json} from '../intercept/family.js'
import type {Counts} from './summary.js'
import type {Vocabulary} from './trace.js'
import {argumentsOf} from './trace.js'

type Members = Readonly<Record<string, Json>>

/** One line. Written member by member: JSON.stringify() takes several times as long, and there are many of these. */
export function decisionLine(decision: Decision, seq: number, vocabulary: Vocabulary): string {
  const {errno, result} = decision
  return (
    `{"v":1,"seq":${seq},"time":"${new Date(decision.timeMs).toISOString()}","pid":${decision.pid}` +
    `,"tid":${decision.tid},"host_pid":${decision.hostPid},"uid":${decision.uid},"gid":${decision.gid}` +
    `,"comm":${json(decision.comm)},"arch":"${decision.abi}","syscall":${json(decision.syscall)}` +
    `,${argumentMembers(decision, vocabulary)},"verdict":"${decision.outcome}","strategy":${json(decision.strategy)}` +
    `,"result":${errno === null ? result : -1},"errno":${errno === null ? null : json(vocabulary.errnoName(errno))}` +
    `,"reason":${json(decision.reason)},"hint":${decision.hint === null ? null : json(hintText(decision.hint))}` +
    `,"latency_us":${Math.round(decision.latencyUs * 10) / 10}}\n`
  )
}

export function startRecord(summary: StartSummary, timeMs: number): Members {
  return {
    v: 1,
    event: 'start',
    time: new Date(timeMs).toISOString(),
    name: summary.name,
    rootless: summary.rootless,
    init_pid: summary.initPid,
    command: maskWords(summary.command).map((word) => jsonBytes(word)),
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

/** One line. */
export function jsonLine(record: Members): string {
  return `${json(record)}\n`
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

function argumentMembers({registers, syscall, values}: Decision, vocabulary: Vocabulary): string {
  const declared = vocabulary.describe(syscall)
  if (values !== undefined && declared !== undefined) return `"args":${argumentsObject(values, declared)}`
  return `"args":null${registers === undefined ? '' : `,"registers":${json(registers.map(hex))}`}`
}

function argumentsObject(values: Readonly<Record<string, unknown>>, declared: Arguments): string {
  const members = argumentsOf(declared).map(([name, argument]) => {
    try {
      return `${json(name)}:${json(argument.json(values[name], values))}`
    } catch {
      return `${json(name)}:null`
    }
  })
  return `{${members.join(',')}}`
}

/** What JSON has between quotes as it is. */
const plain = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/
// Beside what JSON escapes by itself: what it allows but a terminal would act on.
const unsafe = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu

function json(value: Json | undefined): string {
  switch (typeof value) {
    case 'string':
      return plain.test(value) ? `"${value}"` : JSON.stringify(value).replace(unsafe, escapeUnits)
    case 'number':
      return Number.isFinite(value) ? String(value) : 'null'
    case 'boolean':
      return String(value)
    default:
      // A handler's own argument may give nothing.
      if (value === null || value === undefined) return 'null'
      if (isList(value)) return `[${value.map(json).join(',')}]`
      return `{${Object.entries(value)
        .map(([name, member]) => `${json(name)}:${json(member)}`)
        .join(',')}}`
  }
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value)
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
