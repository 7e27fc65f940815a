// Our own command line and environment as the kernel has them: bytes, which Node decodes and so may lose.

import {readFileSync} from 'node:fs'

/** Variable by which a supervisor that entered a user namespace learns how that went; it is no one else's. */
export const MARKER = 'INTERCEPTOR_USER_NAMESPACE'

export function ownCommandLine(): readonly Buffer[] {
  return splitAtNul(readFileSync('/proc/self/cmdline'))
}

/** `NAME=value` strings, without our own variable. */
export function ownEnvironment(): readonly Buffer[] {
  const prefix = Buffer.from(`${MARKER}=`)
  return rawEnvironment().filter((entry) => entry.includes('=') && !entry.subarray(0, prefix.length).equals(prefix))
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
