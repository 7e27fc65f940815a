// Text of a configuration file -> plain data that knows on which line each member stands. YAML holds JSON.

import {isMap, isScalar, isSeq, LineCounter, parseDocument, visit} from 'yaml'
import type {Document, Node, Pair} from 'yaml'

import {UsageError} from '../errors.js'

export type Members = Readonly<Record<string, unknown>>
export type Place = readonly (number | string)[]

export interface ConfigurationDocument {
  readonly file: string
  /** Empty where the file holds nothing of ours. */
  readonly data: Members
  /** Line of a member, or of the nearest thing around it. */
  readonly line: (place: Place) => number
}

/** Aliases that a file may use, multiplied by what they lead to (the "billion laughs"). */
const MAX_ALIASES = 100
const MAX_DEPTH = 128

/** `member`: only this member of the file is ours (package.json). Undefined where it is not there. */
export function parseConfiguration(file: string, bytes: Buffer, member?: string): ConfigurationDocument | undefined {
  const text = decode(file, bytes)
  const lines = new LineCounter()
  const document = parse(file, text, lines)
  const whole = toData(file, document)
  const data = member === undefined ? whole : ownMember(whole, member)
  if (member !== undefined && data === undefined) return undefined
  const base = member === undefined ? [] : [member]
  const line = (place: Place): number => lines.linePos(offsetOf(document, [...base, ...place])).line
  if (data === null || data === undefined) return {file, data: {}, line}
  if (!isMembers(data)) throw wrong(file, line([]), 'it holds no keys', ['write key: value lines, as in mknod: true'])
  return {file, data, line}
}

/** An error at a line of a configuration file. */
export function wrong(
  file: string,
  line: number | undefined,
  cause: string,
  hints: readonly string[] = [],
): UsageError {
  return new UsageError(`${file}${line === undefined ? '' : `:${line}`}: ${cause}`, {hints})
}

export function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function decode(file: string, bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', {fatal: true}).decode(bytes)
  } catch {
    throw wrong(file, undefined, 'it is not text in UTF-8')
  }
}

function parse(file: string, text: string, lineCounter: LineCounter): Document.Parsed {
  if (isNestedDeeply(text)) throw wrong(file, undefined, 'it is nested too deeply')
  // Without prettyErrors messages don't quote the file, which may hold what is not to be shown. uniqueKeys takes time
  // that grows with the square of the number of keys; checkKeys does not.
  const options = {lineCounter, prettyErrors: false, uniqueKeys: false, logLevel: 'error', version: '1.2'} as const
  const document = parseDocument(text, options)
  const [error] = [...document.errors, ...document.warnings]
  if (error === undefined) {
    checkKeys(file, document, lineCounter)
    return document
  }
  const [message = ''] = error.message.split('\n')
  throw wrong(file, lineCounter.linePos(error.pos[0]).line, `it is not valid YAML: ${message}`)
}

/** The parser recurses, and long runs of indicators exhaust its memory. Roughly, before it sees anything. */
function isNestedDeeply(text: string): boolean {
  if (/^[ \t]{256}/m.test(text) || /(?:[-?:!&*][^ \t\n]{0,8}[ \t]+){64}/.test(text)) return true
  let depth = 0
  for (const character of text) {
    if (character === '[' || character === '{') depth++
    else if ((character === ']' || character === '}') && depth > 0) depth--
    if (depth > MAX_DEPTH) return true
  }
  return false
}

function checkKeys(file: string, document: Document.Parsed, lines: LineCounter): void {
  visit(document, {
    Map(_, {items}) {
      const seen = new Set<string>()
      for (const {key} of items) {
        const line = lines.linePos(startOf(key as Node | null)).line
        if (!isScalar(key)) throw wrong(file, line, 'it has a key that is no text')
        const name = String(key.value)
        if (seen.has(name)) throw wrong(file, line, `${JSON.stringify(name)} is given twice`)
        seen.add(name)
      }
    },
  })
}

function toData(file: string, document: Document.Parsed): unknown {
  try {
    return document.toJS({maxAliasCount: MAX_ALIASES}) as unknown
  } catch (cause) {
    if (cause instanceof ReferenceError) throw wrong(file, undefined, 'it uses too many aliases')
    throw wrong(file, undefined, 'it cannot be read as data')
  }
}

function offsetOf(document: Document.Parsed, place: Place): number {
  let node: unknown = document.contents
  let offset = startOf(document.contents)
  for (const step of place) {
    if (isMap(node)) {
      const pair: Pair | undefined = node.items.find(({key}) => isScalar(key) && String(key.value) === String(step))
      if (pair === undefined) break
      offset = startOf(pair.key as Node | null)
      node = pair.value
    } else if (isSeq(node)) {
      node = node.items[Number(step)]
      offset = startOf(node as Node | null)
    } else break
  }
  return offset
}

function startOf(node: Node | null | undefined): number {
  return node?.range?.[0] ?? 0
}

function ownMember(value: unknown, name: string): unknown {
  return isMembers(value) && Object.hasOwn(value, name) ? value[name] : undefined
}
