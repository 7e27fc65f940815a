// LXD's raw.idmap: `both 1000 1000`, `uid 50-60 500-510`, one on each line; the host's ids come first.

import type {IdMapExtent} from '../intercept/container.js'

export interface RawIdMap {
  readonly uid: readonly IdMapExtent[]
  readonly gid: readonly IdMapExtent[]
}

export function parseRawIdMap(text: string, wrong: (cause: string) => Error): RawIdMap {
  const uid: IdMapExtent[] = []
  const gid: IdMapExtent[] = []
  for (const line of text.split('\n').map((entry) => entry.trim())) {
    if (line === '') continue
    const [kind, host = '', container = '', ...rest] = line.split(/\s+/)
    const [outside, inside] = [parseRange(host), parseRange(container)]
    if (outside === undefined || inside === undefined || rest.length > 0)
      throw wrong(`raw.idmap: ${JSON.stringify(line)} is not as uid 1000 1000, or both 50-60 500-510`)
    if (outside.count !== inside.count) throw wrong(`raw.idmap: the ranges of ${JSON.stringify(line)} differ in size`)
    const extent = {inside: inside.start, outside: outside.start, count: inside.count}
    if (kind === 'both' || kind === 'uid') uid.push(extent)
    if (kind === 'both' || kind === 'gid') gid.push(extent)
    if (kind !== 'both' && kind !== 'uid' && kind !== 'gid')
      throw wrong(`raw.idmap: ${JSON.stringify(line)} begins with neither uid, gid nor both`)
  }
  return {uid, gid}
}

function parseRange(text: string): {readonly start: number; readonly count: number} | undefined {
  const match = /^(\d{1,10})(?:-(\d{1,10}))?$/.exec(text)
  if (match === null) return undefined
  const start = Number(match[1])
  const end = Number(match[2] ?? match[1])
  return end >= start && end < 0xffff_ffff ? {start, count: end - start + 1} : undefined
}
