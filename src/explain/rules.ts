// The entries of a policy, one by one: which of them would have a call performed.

import type {Verdict} from '../intercept/family.js'

export interface PolicyRule {
  /** Member of the policy: `devices`. */
  readonly member: string
  readonly entry: string
  /** Undefined for a setting, which is no entry of a list. */
  readonly allows: boolean | undefined
}

/** As flags write it: `c:1:3`, `ext4`, `ext4=fuse2fs`, `caesar=/path/caesar.js`. */
export function showEntry(entry: unknown): string {
  if (typeof entry === 'string') return entry
  if (typeof entry === 'object' && entry !== null && 'type' in entry && 'major' in entry && 'minor' in entry) {
    return [entry.type, entry.major, entry.minor].map(String).join(':')
  }
  // A call of --handler, told apart by its file.
  if (isRecord(entry) && typeof entry['name'] === 'string' && typeof entry['file'] === 'string')
    return `${entry['name']}=${entry['file']}`
  return JSON.stringify(entry)
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** `decide` is asked again with each entry of a list standing alone in it. */
export function applyRules(part: unknown, decide: (part: unknown) => Verdict): PolicyRule[] {
  if (!isRecord(part)) return []
  const allows = (member: string, value: unknown): boolean => decide({...part, [member]: value}).kind === 'perform'
  return Object.entries(part).flatMap(([member, value]): PolicyRule[] => {
    if (Array.isArray(value)) {
      return value.map((entry: unknown) => ({member, entry: showEntry(entry), allows: allows(member, [entry])}))
    }
    if (isRecord(value)) {
      return Object.entries(value).map(([key, entry]) => ({
        member,
        entry: `${key}=${showEntry(entry)}`,
        allows: allows(member, {[key]: entry}),
      }))
    }
    return [{member, entry: showEntry(value), allows: undefined}]
  })
}
