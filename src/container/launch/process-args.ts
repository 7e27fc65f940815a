// Our own command line and environment as the kernel has them: bytes, which Node decodes and so may lose.

import {readFileSync} from 'node:fs'

/** Variable by which a supervisor that entered a user namespace learns how that went; it is no one else's. */
export const MARKER = 'INTERCEPTOR_USER_NAMESPACE'

export function ownCommandLine(): readonly Buffer[] {
  return splitAtNul(readFileSync('/proc/self/cmdline'))
}

/**
 * Node reads and parses this file of certificates whenever it starts, which takes longer than all else that it does
 * then. The second Node gets the variable under another name, and the command under its own.
 */
const CERTIFICATES = 'NODE_EXTRA_CA_CERTS='
const KEPT_CERTIFICATES = `INTERCEPTOR_${CERTIFICATES}`

/** `NAME=value` strings as the command is to have them: without our own variable, and with names that we changed back. */
export function ownEnvironment(): readonly Buffer[] {
  return rawEnvironment()
    .filter((entry) => entry.includes('=') && !startsWith(entry, `${MARKER}=`))
    .map((entry) => renamed(entry, KEPT_CERTIFICATES, CERTIFICATES))
}

/** The same for this program when it is executed once more. A handler, which is a person's own, may need the certificates. */
export function environmentForNode(words: readonly Buffer[]): readonly Buffer[] {
  if (words.some((word) => startsWith(word, '--handler'))) return ownEnvironment()
  return ownEnvironment().map((entry) => renamed(entry, CERTIFICATES, KEPT_CERTIFICATES))
}

function renamed(entry: Buffer, from: string, to: string): Buffer {
  return startsWith(entry, from) ? Buffer.concat([Buffer.from(to), entry.subarray(from.length)]) : entry
}

function startsWith(entry: Buffer, text: string): boolean {
  return entry.toString('latin1', 0, text.length) === text
}

/** Strings that each end in NUL, as proc(5) gives them; empty ones count. */
export function splitAtNul(bytes: Buffer): readonly Buffer[] {
  const parts: Buffer[] = []
  let start = 0
  for (let end = bytes.indexOf(0); end !== -1; end = bytes.indexOf(0, start)) {
    parts.push(bytes.subarray(start, end))
    start = end + 1
  }
  if (start < bytes.length) parts.push(bytes.subarray(start))
  return parts
}

function rawEnvironment(): readonly Buffer[] {
  try {
    return splitAtNul(readFileSync('/proc/self/environ'))
  } catch {
    return Object.entries(process.env).map(([name, value]) => Buffer.from(`${name}=${value ?? ''}`))
  }
}
