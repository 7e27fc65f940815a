// Command line and environment as bytes. Node decodes both as UTF-8 and loses what is none; here a byte that is no
// UTF-8 becomes a lone surrogate (U+DC80 to U+DCFF), so that ordinary strings carry it and `toBytes` gives it back.

import {ownCommandLine} from '../../container/launch/process-args.js'

const replacement = '\uFFFD'
const lowestEscape = 0xdc00

export function fromBytes(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const text = buffer.toString('utf8')
  if (!text.includes(replacement)) return text
  let result = ''
  for (let at = 0; at < buffer.length;) {
    const length = sequenceLength(buffer, at)
    if (length === 0) result += String.fromCharCode(lowestEscape + buffer[at]!)
    else result += buffer.toString('utf8', at, at + length)
    at += Math.max(length, 1)
  }
  return result
}

export function toBytes(text: string): Buffer {
  if (!/[\ud800-\udfff]/u.test(text)) return Buffer.from(text)
  const parts: Buffer[] = []
  for (const character of text) {
    const code = character.codePointAt(0)!
    parts.push(code >= 0xdc80 && code <= 0xdcff ? Buffer.of(code - lowestEscape) : Buffer.from(character))
  }
  return Buffer.concat(parts)
}

/** The words of `argv` with their bytes kept. The kernel is only asked where Node had to replace something. */
export function wordsWithBytes(argv: readonly string[], readCommandLine = ownCommandLine): readonly string[] {
  if (!argv.some((word) => word.includes(replacement))) return argv
  const raw = readCommandLine()
  const words = raw.slice(Math.max(0, raw.length - argv.length))
  // The two must tell the same story; a rewritten process title does not.
  const same = words.length === argv.length && words.every((word, index) => word.toString('utf8') === argv[index])
  return same ? words.map(fromBytes) : argv
}

/** Length of the valid UTF-8 sequence at `at`; 0 where there is none. */
function sequenceLength(bytes: Buffer, at: number): number {
  const first = bytes[at]!
  const length = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0
  if (length < 2) return length
  if (at + length > bytes.length) return 0
  const part = bytes.subarray(at, at + length)
  return Buffer.from(part.toString('utf8')).equals(part) ? length : 0
}
