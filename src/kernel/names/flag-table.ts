// Bits by their names: how the log shows flags, and what explain reads of those that strace wrote.

export interface FlagTable {
  /** Shown for bits that have no name: `0x40 /* MS_??? *\/`. */
  readonly prefix: string
  /** Name -> value, in the order in which they are shown. A name for 0 is shown where nothing is set. */
  readonly names: Readonly<Record<string, number>>
}

/** `MS_NOSUID|MS_NODEV`. Bits without a name are shown, never dropped. */
export function showFlags(value: number, table: FlagTable): string {
  const shown: string[] = []
  let rest = value >>> 0
  for (const [name, bits] of Object.entries(table.names)) {
    const unsigned = bits >>> 0
    if (unsigned !== 0 && (rest & unsigned) >>> 0 === unsigned) {
      shown.push(name)
      rest = (rest & ~unsigned) >>> 0
    } else if (unsigned === 0 && value === 0) shown.push(name)
  }
  if (rest !== 0) shown.push(`0x${rest.toString(16)} /* ${table.prefix}??? */`)
  return shown.length === 0 ? '0' : shown.join('|')
}

/** The name of a number of an enumeration; its digits where it has none. */
export function showNumber(value: number, names: Readonly<Record<string, number>>): string {
  for (const [name, number] of Object.entries(names)) if (number === value) return name
  return String(value)
}

/** Names of consecutive numbers. */
export function numbered(first: number, names: string): Record<string, number> {
  return Object.fromEntries(names.split(' ').map((name, index) => [name, first + index]))
}

/** Names of consecutive bits. */
export function bits(first: number, names: string): Record<string, number> {
  return Object.fromEntries(names.split(' ').map((name, index) => [name, 2 ** (first + index)]))
}
