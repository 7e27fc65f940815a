// Bytes of the container as text that can't move a terminal's cursor or break a log line, and as JSON.

import {isUtf8} from 'node:buffer'

import type {Json} from '../family.js'

const SIMPLE: Readonly<Record<string, string>> = {'\t': '\\t', '\n': '\\n', '\r': '\\r', '"': '\\"', '\\': '\\\\'}

// C0, DEL, C1, separators that end lines, and characters that reorder or hide text (Unicode's Cc, Cf, Zl and Zp).
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u

/** What most paths have alone: neither escaped nor decoded. */
const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/

/** As strace would write a string, with its quotes. Bytes that are no UTF-8 become \xNN. Cut after `limit` bytes. */
export function quote(bytes: Uint8Array, limit = 4096): string {
  const cut = bytes.length > limit
  return `"${escapeBytes(cut ? bytes.subarray(0, limit) : bytes)}"${cut ? '...' : ''}`
}

/** The same without quotes. */
export function escapeBytes(bytes: Uint8Array): string {
  const plain = latin1(bytes)
  if (PLAIN.test(plain)) return plain
  let out = ''
  for (let index = 0; index < bytes.length;) {
    const byte = bytes[index]!
    if (byte >= 0x20 && byte < 0x7f) {
      out += byte === 0x22 || byte === 0x5c ? `\\${String.fromCharCode(byte)}` : String.fromCharCode(byte)
      index++
      continue
    }
    const length = sequenceLength(byte)
    const sequence = bytes.subarray(index, index + length)
    const text = length === 1 && byte >= 0x80 ? undefined : decode(sequence)
    if (text !== undefined && !UNSAFE.test(text)) out += text
    else if (text !== undefined) out += SIMPLE[text] ?? hex(sequence)
    else out += hex(bytes.subarray(index, index + 1))
    index += text === undefined ? 1 : length
  }
  return out
}

/** A string where the bytes are UTF-8, `{"base64": ...}` where they are not. */
export function jsonBytes(bytes: Uint8Array): Json {
  const plain = latin1(bytes)
  if (PLAIN.test(plain)) return plain
  return decode(bytes) ?? {base64: Buffer.from(bytes).toString('base64')}
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
}

function sequenceLength(first: number): number {
  if (first < 0xc2) return 1
  if (first < 0xe0) return 2
  return first < 0xf0 ? 3 : first < 0xf5 ? 4 : 1
}

function decode(bytes: Uint8Array): string | undefined {
  return isUtf8(bytes) ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8') : undefined
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')
}
