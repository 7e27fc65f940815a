// Which ids of the host the container's ids are: read, chosen, checked, converted and written. See user_namespaces(7).

import {readFileSync} from 'node:fs'

import {LaunchError, UsageError} from '../../errors.js'
import type {IdMapExtent} from '../../intercept/container.js'
import {OVERFLOW_ID} from '../../kernel/constants.js'

/** A range of ids of the host that may be used in maps (subuid(5)). */
export interface IdRange {
  readonly start: number
  readonly count: number
}

export interface IdMaps {
  readonly uidMap: readonly IdMapExtent[]
  readonly gidMap: readonly IdMapExtent[]
}

/** The files that the choice depends on, as text. */
export interface IdSources {
  readonly subuid: string
  readonly subgid: string
  readonly passwd: string
  readonly group: string
}

/** A range below this is no complete set of ids: `nobody` is 65534. */
export const FULL_RANGE = 65_536

/** Above what systemd-nspawn takes by itself (1879048191) and below its foreign range (2147352576). */
const FALLBACK_START = 0x7000_0000
const FALLBACK_END = 0x7ffe_0000

/** One more than the highest id: 2^32 - 1 is (uid_t)-1, which means "no id" (user_namespaces(7)). */
const ID_LIMIT = 0xffff_ffff

/** UID_GID_MAP_MAX_EXTENTS of include/linux/user_namespace.h, Linux 4.15. */
const MAX_EXTENTS = 340

export function readIdSources(): IdSources {
  return {
    subuid: readOrEmpty('/etc/subuid'),
    subgid: readOrEmpty('/etc/subgid'),
    passwd: readOrEmpty('/etc/passwd'),
    group: readOrEmpty('/etc/group'),
  }
}

/** The ranges of the owners named, which may be login names or decimal ids, in the order of the file. */
export function subordinateRanges(text: string, owners: readonly string[]): readonly IdRange[] {
  return parseSubordinate(text)
    .filter((line) => owners.includes(line.owner))
    .map(({start, count}) => ({start, count}))
}

/** Throws UsageError where the kernel would only say EINVAL (map_write in kernel/user_namespace.c). */
export function validateIdMap(flag: string, map: readonly IdMapExtent[]): void {
  const fail = (cause: string): never => {
    throw new UsageError(`cannot use ${flag}: ${cause}`)
  }
  if (map.length === 0) fail('the map is empty')
  if (map.length > MAX_EXTENTS) fail(`${map.length} lines are more than the kernel's ${MAX_EXTENTS}`)
  for (const extent of map) {
    if (extent.count < 1) fail(`${show(extent)} maps no id`)
    if (extent.inside + extent.count > ID_LIMIT || extent.outside + extent.count > ID_LIMIT)
      fail(`${show(extent)} goes beyond the highest id, ${ID_LIMIT - 1}`)
  }
  for (const side of ['inside', 'outside'] as const) {
    const sorted = map.toSorted((a, b) => a[side] - b[side])
    for (const [index, extent] of sorted.entries()) {
      const next = sorted[index + 1]
      if (next !== undefined && extent[side] + extent.count > next[side])
        fail(`${show(extent)} and ${show(next)} overlap ${side === 'inside' ? 'in the container' : 'on the host'}`)
    }
  }
  if (toHost(map, 0) === undefined) fail('id 0 of the container is not mapped')
}

/** Maps of a container whose supervisor is root of the initial user namespace; those given, where any are. */
export function choosePrivilegedMaps(sources: IdSources, given: IdMaps = {uidMap: [], gidMap: []}): IdMaps {
  const owners = ['root', '0', 'interceptor']
  const choose = (map: readonly IdMapExtent[], text: string) =>
    map.length > 0 ? map : (fullMap(subordinateRanges(text, owners)) ?? fallbackMap(sources))
  const uidMap = choose(given.uidMap, sources.subuid)
  const gidMap = choose(given.gidMap, sources.subgid)
  validateIdMap('--uid-map', uidMap)
  validateIdMap('--gid-map', gidMap)
  refuseRoot('--uid-map', uidMap)
  refuseRoot('--gid-map', gidMap)
  return {uidMap, gidMap}
}

/**
 * Maps of the user namespace in which a rootless supervisor runs: its own ids as root, then subordinate ones, which
 * newuidmap(1) and newgidmap(1) write. Without subordinate ids in both files: one id, which needs no helper.
 */
export function chooseRootlessMaps(
  sources: IdSources,
  self: {readonly uid: number; readonly gid: number},
): IdMaps & {readonly single: boolean} {
  const owners = [String(self.uid), ...loginNames(sources.passwd, self.uid)]
  const uids = subordinateRanges(sources.subuid, owners)
  const gids = subordinateRanges(sources.subgid, owners)
  const single = uids.length === 0 || gids.length === 0
  return {
    uidMap: stacked(self.uid, single ? [] : uids),
    gidMap: stacked(self.gid, single ? [] : gids),
    single,
  }
}

/**
 * The map of a container in a child of the user namespace that has the map `parent`: the same ids, extent by extent,
 * because each line must lie in one line of the parent's map (map_id_range_down in kernel/user_namespace.c).
 */
export function nestedMap(parent: readonly IdMapExtent[]): readonly IdMapExtent[] {
  return parent.map(({inside, count}) => ({inside, outside: inside, count}))
}

/** The maps of our own user namespace. */
export function ownIdMaps(): IdMaps {
  const read = (name: string) => parseProcIdMap(readFileSync(`/proc/self/${name}`, 'latin1'))
  return {uidMap: read('uid_map'), gidMap: read('gid_map')}
}

/**
 * Maps of a container whose supervisor is root of a user namespace with the maps `own`; those given name ids as that
 * namespace's parent numbers them, which is how the person knows them.
 */
export function chooseNestedMaps(own: IdMaps, given: IdMaps = {uidMap: [], gidMap: []}): IdMaps {
  const choose = (flag: string, parent: readonly IdMapExtent[], map: readonly IdMapExtent[]) => {
    if (map.length === 0) return nestedMap(parent)
    validateIdMap(flag, map)
    const turned = parent.map(({inside, outside, count}) => ({inside: outside, outside: inside, count}))
    return splitByParent(flag, map, turned).map(({inside, outside, count}) => {
      return {inside, outside: toHost(turned, outside)!, count}
    })
  }
  return {
    uidMap: choose('--uid-map', own.uidMap, given.uidMap),
    gidMap: choose('--gid-map', own.gidMap, given.gidMap),
  }
}

export interface IdMapChoice {
  readonly rootless: boolean
  /** --uid-map and --gid-map. */
  readonly given: IdMaps
  /** LXD's raw.idmap. */
  readonly raw: {readonly uid: readonly IdMapExtent[]; readonly gid: readonly IdMapExtent[]} | undefined
  /** The maps of the supervisor's own user namespace; asked for where `rootless`. */
  readonly own: () => IdMaps
}

/** The container's maps. Throws UsageError where those that were asked for cannot be had. */
export function chooseIdMaps({rootless, given, raw = {uid: [], gid: []}, own}: IdMapChoice): IdMaps {
  if (rootless) {
    if (raw.uid.length + raw.gid.length > 0)
      throw new UsageError('cannot use raw.idmap: it needs a supervisor that root started', {
        hints: ['map ids of your own with --uid-map and --gid-map'],
      })
    return chooseNestedMaps(own(), given)
  }
  const {uidMap, gidMap} = choosePrivilegedMaps(readIdSources(), given)
  return {uidMap: overlayMap('raw.idmap', uidMap, raw.uid), gidMap: overlayMap('raw.idmap', gidMap, raw.gid)}
}

/**
 * `map` with some of the container's ids mapped otherwise, as LXD's raw.idmap asks for: what stands at the same id of
 * the container or of the host gives way.
 */
export function overlayMap(
  flag: string,
  map: readonly IdMapExtent[],
  given: readonly IdMapExtent[],
): readonly IdMapExtent[] {
  if (given.length === 0) return map
  const rest = given.reduce<readonly IdMapExtent[]>((left, cut) => left.flatMap((extent) => without(extent, cut)), map)
  const whole = [...rest, ...given].toSorted((a, b) => a.inside - b.inside)
  validateIdMap(flag, whole)
  refuseRoot(flag, whole)
  return whole
}

function refuseRoot(flag: string, map: readonly IdMapExtent[]): void {
  if (toContainer(map, 0) === undefined) return
  throw new UsageError(`cannot use ${flag}: it maps the host's id 0, so the container would be as powerful as root`, {
    hints: ['leave it out, or map a range of ids that nobody has'],
  })
}

/** What is left of an extent when the ids of another are taken out, on either side. */
function without(extent: IdMapExtent, cut: IdMapExtent): readonly IdMapExtent[] {
  const slice = (from: number, to: number): readonly IdMapExtent[] =>
    to > from ? [{inside: extent.inside + from, outside: extent.outside + from, count: to - from}] : []
  const clamp = (offset: number): number => Math.max(0, Math.min(extent.count, offset))
  const remove = (parts: readonly IdMapExtent[], side: 'inside' | 'outside'): readonly IdMapExtent[] =>
    parts.flatMap((part) => {
      const [start, end] = [clamp(cut[side] - extent[side]), clamp(cut[side] + cut.count - extent[side])]
      const [from, to] = [part.inside - extent.inside, part.inside - extent.inside + part.count]
      return end <= from || start >= to ? [part] : [...slice(from, start), ...slice(end, to)]
    })
  return remove(remove([extent], 'inside'), 'outside')
}

/** Cuts the lines of `map` where the parent's map has a boundary; throws where an id is not mapped there. */
export function splitByParent(
  flag: string,
  map: readonly IdMapExtent[],
  parent: readonly IdMapExtent[],
): readonly IdMapExtent[] {
  return map.flatMap((extent) => {
    const parts: IdMapExtent[] = []
    for (let done = 0; done < extent.count;) {
      const outside = extent.outside + done
      const around = parent.find((line) => outside >= line.inside && outside < line.inside + line.count)
      if (around === undefined)
        throw new UsageError(`cannot use ${flag} ${show(extent)}: id ${outside} is not one of yours`, {
          hints: [
            `ids that you may use: ${parent.map((line) => `${line.inside}-${line.inside + line.count - 1}`).join(', ')}`,
          ],
        })
      const count = Math.min(extent.count - done, around.inside + around.count - outside)
      parts.push({inside: extent.inside + done, outside, count})
      done += count
    }
    return parts
  })
}

/** The id outside of an id in the container; undefined where it has none. */
export function toHost(map: readonly IdMapExtent[], id: number): number | undefined {
  const extent = map.find(({inside, count}) => id >= inside && id - inside < count)
  return extent && extent.outside + (id - extent.inside)
}

/** The container's id of an id outside; undefined where it has none. */
export function toContainer(map: readonly IdMapExtent[], id: number): number | undefined {
  const extent = map.find(({outside, count}) => id >= outside && id - outside < count)
  return extent && extent.inside + (id - extent.outside)
}

/** Text of /proc/PID/uid_map or gid_map. */
export function parseProcIdMap(text: string): readonly IdMapExtent[] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [inside = Number.NaN, outside = Number.NaN, count = Number.NaN] = line.trim().split(/\s+/).map(Number)
      return {inside, outside, count}
    })
}

export function formatIdMap(map: readonly IdMapExtent[]): string {
  return map.map(({inside, outside, count}) => `${inside} ${outside} ${count}\n`).join('')
}

/** True in the initial user namespace, whose map is the identity of all ids. */
export function isInitialUserNamespace(uidMap: readonly IdMapExtent[]): boolean {
  return uidMap.length === 1 && uidMap[0]?.inside === 0 && uidMap[0].outside === 0 && uidMap[0].count === ID_LIMIT
}

function parseSubordinate(text: string): readonly (IdRange & {readonly owner: string})[] {
  return text.split('\n').flatMap((line) => {
    const [owner, start, count, ...rest] = line.trim().split(':')
    if (owner === undefined || owner === '' || owner.startsWith('#') || rest.length > 0) return []
    if (start === undefined || count === undefined || !/^\d{1,10}$/.test(start) || !/^\d{1,10}$/.test(count)) return []
    const range = {owner, start: Number(start), count: Number(count)}
    return range.count > 0 && range.start + range.count <= ID_LIMIT ? [range] : []
  })
}

function fullMap(ranges: readonly IdRange[]): readonly IdMapExtent[] | undefined {
  const range = ranges.find(({start, count}) => count >= FULL_RANGE && start > OVERFLOW_ID)
  return range && [{inside: 0, outside: range.start, count: FULL_RANGE}]
}

/** The same range for uids and gids, so that neither a user's nor anyone's subordinate ids are in it. */
function fallbackMap({subuid, subgid, passwd, group}: IdSources): readonly IdMapExtent[] {
  const taken: IdRange[] = [
    ...parseSubordinate(subuid),
    ...parseSubordinate(subgid),
    ...[passwd, group].flatMap(numericIds).map((start) => ({start, count: 1})),
  ]
  for (let start = FALLBACK_START; start + FULL_RANGE <= FALLBACK_END; start += FULL_RANGE)
    if (!taken.some((range) => range.start < start + FULL_RANGE && start < range.start + range.count))
      return [{inside: 0, outside: start, count: FULL_RANGE}]
  throw new LaunchError(`cannot find ${FULL_RANGE} ids that nobody has`, {
    hints: ['add a line root:START:65536 to /etc/subuid and /etc/subgid', 'name a range with --uid-map and --gid-map'],
  })
}

/** Where the next range of subordinate ids would begin: behind all that are given to someone. */
export function freeRange({subuid, subgid}: Pick<IdSources, 'subgid' | 'subuid'>): number {
  const ends = [subuid, subgid].flatMap(parseSubordinate).map(({start, count}) => start + count)
  return Math.max(100_000, ...ends)
}

/** The third field of passwd(5) and group(5): ids. passwd's fourth is a group's id, which group(5) has as well. */
function numericIds(text: string): readonly number[] {
  return text.split('\n').flatMap((line) => {
    const id = line.split(':')[2]
    return id !== undefined && /^\d{1,10}$/.test(id) ? [Number(id)] : []
  })
}

function loginNames(passwd: string, uid: number): readonly string[] {
  return passwd.split('\n').flatMap((line) => {
    const [name, , id] = line.split(':')
    return name !== undefined && name !== '' && id === String(uid) ? [name] : []
  })
}

/** The own id as 0, then the ranges one after the other, up to a full set and the kernel's number of lines. */
function stacked(own: number, ranges: readonly IdRange[]): readonly IdMapExtent[] {
  const map: IdMapExtent[] = [{inside: 0, outside: own, count: 1}]
  let inside = 1
  for (const {start, count} of ranges.slice(0, MAX_EXTENTS - 1)) {
    const used = Math.min(count, FULL_RANGE - inside)
    const holdsOwn = own >= start && own < start + used
    if (used <= 0 || holdsOwn) continue
    map.push({inside, outside: start, count: used})
    inside += used
  }
  return map
}

function show({inside, outside, count}: IdMapExtent): string {
  return `${inside}:${outside}:${count}`
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
