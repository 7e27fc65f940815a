// What is said last when the command failed and calls were refused shortly before: which, and what would allow them.

import type {RunEnd} from '../container/run-options.js'
import type {Decision} from '../intercept/decision.js'
import {isFlagHint, wordsOf} from '../intercept/hint.js'
import type {FlagHint} from '../intercept/hint.js'
import {maskWords} from '../intercept/caller/secrets.js'
import {signalName} from './json.js'
import {printableUpTo} from './printable.js'
import type {Vocabulary} from './trace.js'

export interface ClosingInput {
  readonly end: RunEnd
  /** The last refused calls, oldest first. */
  readonly refused: readonly Decision[]
  readonly timeMs: number
  /** See RunOptions. */
  readonly words: readonly Buffer[]
  readonly vocabulary: Vocabulary
}

/** How many refused calls are remembered, and how recent one is. */
export const rememberedMax = 5
const recentMs = 2000
const flagValueMax = 256

/** Lines with their newlines; empty where there is nothing to say. */
export function closingLines({end, refused, timeMs, vocabulary, words}: ClosingInput): string {
  const failed = end.kind === 'signalled' || end.status !== 0
  if (!failed || refused.length === 0) return ''
  const recent = refused.filter((decision) => timeMs - decision.timeMs <= recentMs)
  const calls = new Map((recent.length > 0 ? recent : refused).map((call) => [`${call.syscall}: ${call.reason}`, call]))
  const how = end.kind === 'exited' ? `failed with status ${end.status}` : `was killed by ${signalName(end.signal)}`
  const which = [...calls.values()].map((call) => {
    const errno = call.errno === null ? '' : ` (${vocabulary.errnoName(call.errno)})`
    return `${printableUpTo(call.syscall, 64)} was refused${errno}: ${printableUpTo(call.reason, 256)}`
  })
  const told = `interceptor: the command ${how} after ${which.join('; ')}\n`
  const hints = [...calls.values()].flatMap(({hint}) => (hint !== null && isFlagHint(hint) ? [hint] : []))
  const again = withFlags(words, hints)
  return again === undefined ? told : `${told}hint: to allow it: ${again}\n`
}

/** The same command line with these flags behind `run`; undefined where there is none to add. */
function withFlags(words: readonly Buffer[], hints: readonly FlagHint[]): string | undefined {
  const [command, ...rest] = maskWords(words)
  const short = hints.filter(({value = ''}) => value.length <= flagValueMax)
  const flags = new Set(short.map(quoteFlag))
  if (command === undefined || flags.size === 0) return undefined
  return ['interceptor', shellQuote(command), ...flags, ...rest.map(shellQuote)].join(' ')
}

/** `--mknod-allow b:8:0`, as a shell reads it. */
export function quoteFlag(hint: FlagHint): string {
  return wordsOf(hint)
    .map((word) => shellQuote(Buffer.from(word)))
    .join(' ')
}

/** A word as a POSIX shell reads it; bytes that can't be shown as they are in bash's and ksh's `$'...'`. */
export function shellQuote(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes)
  const text = buffer.toString('utf8')
  if (/^[A-Za-z0-9_/:=@%+,.-]+$/.test(text)) return text
  const plain = Buffer.from(text).equals(buffer) && !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(text)
  if (plain) return `'${text.replaceAll("'", "'\\''")}'`
  const escaped = Array.from(buffer, (byte) => {
    if (byte === 0x27 || byte === 0x5c) return `\\${String.fromCharCode(byte)}`
    return byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`
  })
  // A hexadecimal escape takes at most two digits in bash, zsh and ksh: what follows can't be taken for more of it.
  return `$'${escaped.join('')}'`
}
