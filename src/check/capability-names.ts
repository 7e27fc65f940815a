// Sets of capabilities in words.

import {CAP} from '../kernel/capabilities.js'

const NAMES = Object.keys(CAP).map((name) => name.toLowerCase())

/** `all capabilities`, `no capability`, or what is fewer: those that are held, or those that are not. */
export function describeCapabilities(mask: bigint): string {
  const held = NAMES.filter((_, bit) => (mask >> BigInt(bit)) % 2n === 1n)
  const lacking = NAMES.filter((name) => !held.includes(name))
  if (lacking.length === 0) return 'all capabilities'
  if (held.length === 0) return 'no capability'
  return held.length <= lacking.length ? held.join(', ') : `all capabilities but ${lacking.join(', ')}`
}
