// Text from anywhere, made harmless for a terminal and for a log of lines.

// Controls, formatting characters that hide or reorder text, line separators, and the lone surrogates that stand for
// bytes that are no UTF-8 (Unicode's Cc, Cf, Zl, Zp and Cs).
const unsafe = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu
// What most text has alone, and needs no look at Unicode's tables.
const beyondAscii = /[^\x20-\x7e]/
const named: Readonly<Record<string, string>> = {'\n': '\\n', '\r': '\\r', '\t': '\\t'}

/** The text with everything escaped that could move a cursor or break a line. Quotes and backslashes stay. */
export function printable(text: string): string {
  if (!beyondAscii.test(text)) return text
  return text.replace(unsafe, (character) => named[character] ?? escaped(character))
}

/** The same, cut after `limit` characters. */
export function printableUpTo(text: string, limit: number): string {
  const shown = printable(text.length > limit ? text.slice(0, limit) : text)
  return text.length > limit ? `${shown}...` : shown
}

function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0
  const bytes = code >= 0xdc80 && code <= 0xdcff ? [code - 0xdc00] : [...Buffer.from(character)]
  return bytes.map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')
}
