// Values of flags, read one by one. Each function takes the flag's name for its error and returns plain data.

import type {BindOption, DeviceOption} from '../../container/run-options.js'
import {UsageError} from '../../errors.js'
import type {IdMapExtent} from '../../intercept/container.js'
import {invalidValue as invalid} from '../../flag.js'
import {toBytes} from './bytes.js'

/** (uid_t) -1 is no id, see user_namespaces(7). */
const highestId = 2 ** 32 - 2

const sizeUnits: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  ...Object.fromEntries(
    ['k', 'm', 'g', 't'].flatMap((unit, index) => [
      [unit, 1024 ** (index + 1)],
      [`${unit}ib`, 1024 ** (index + 1)],
      [`${unit}b`, 1000 ** (index + 1)],
    ]),
  ),
}

/** `256M`, `1.5G`, `64MiB`, `1000000`. */
export function parseSize(flag: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?) ?([a-z]*)$/i.exec(text)
  const unit = sizeUnits[match?.[2]?.toLowerCase() ?? '']
  if (match === null || unit === undefined) throw invalid(flag, text, 'a size', 'write it as 256M, 1.5G or 64MiB')
  const bytes = Math.floor(Number(match[1]) * unit)
  if (bytes < 1 || !Number.isSafeInteger(bytes))
    throw invalid(flag, text, 'a size that can be', 'write it as 256M, 1.5G or 64MiB')
  return bytes
}

export function parseCount(flag: string, text: string): number {
  const count = /^\d+$/.test(text) ? Number(text) : 0
  if (count < 1 || count > 2 ** 22) throw invalid(flag, text, 'a number from 1 to 4194304')
  return count
}

export function parseCpus(flag: string, text: string): number {
  const cpus = /^\d+(\.\d+)?$/.test(text) ? Number(text) : 0
  if (cpus < 0.01 || cpus > 65_536) throw invalid(flag, text, 'a number of processors', 'write it as 2 or 0.5')
  return cpus
}

export function parseName(flag: string, text: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/.test(text)) {
    throw invalid(flag, text, 'a name', 'use at most 64 letters and digits, and after the first also _ . and -')
  }
  return text
}

export function parseHostname(flag: string, text: string): string {
  if (!/^(?=.{1,64}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$/.test(text)) {
    throw invalid(flag, text, 'a host name', 'use at most 64 letters, digits, hyphens and dots')
  }
  return text
}

/** A path that is not empty and holds no NUL (a configuration file could). */
export function parsePath(flag: string, text: string): Buffer {
  if (text === '' || text.includes('\0')) throw invalid(flag, text, 'a path')
  return toBytes(text)
}

export function parseContainerPath(flag: string, text: string): Buffer {
  if (!text.startsWith('/')) throw invalid(flag, text, 'an absolute path in the container')
  return parsePath(flag, text)
}

/** `PATH`, `PATH:MODE` or `PATH:UID:GID:MODE`; a colon in the path is written `\:`. */
export function parseDeviceOption(flag: string, text: string): DeviceOption {
  const [path = '', ...rest] = splitAtColons(text)
  const [mode, uid, gid] = rest.length === 3 ? [rest[2], rest[0], rest[1]] : rest
  const isOwner = (id: string | undefined) => id === undefined || (/^\d{1,10}$/.test(id) && Number(id) <= highestId)
  const isForm = rest.length < 2 || rest.length === 3
  if (!isForm || (mode !== undefined && !/^[0-7]{3,4}$/.test(mode)) || !isOwner(uid) || !isOwner(gid)) {
    const hint = 'MODE is octal, as in /dev/net/tun:0666; a node keeps its path, so name no second one'
    throw invalid(flag, text, 'PATH, PATH:MODE or PATH:UID:GID:MODE', hint)
  }
  return {
    path: parseContainerPath(flag, path),
    mode: mode === undefined ? undefined : Number.parseInt(mode, 8),
    owner: uid === undefined ? undefined : {uid: Number(uid), gid: Number(gid)},
  }
}

/** `SRC[:DST[:OPTS]]`; a colon in a path is written `\:`. */
export function parseBind(flag: string, text: string): BindOption {
  const parts = splitAtColons(text)
  const [source = '', target, options = ''] = parts
  if (parts.length > 3) throw invalid(flag, text, 'SRC[:DST[:OPTS]]', 'write a colon in a path as \\:')
  const words = options === '' ? [] : options.split(',')
  const wrong = words.find((word) => !['ro', 'rw', 'shift'].includes(word))
  if (wrong !== undefined)
    throw new UsageError(`--${flag} ${text}: unknown option ${JSON.stringify(wrong)}, known are ro, rw and shift`)
  if (words.includes('ro') && words.includes('rw'))
    throw new UsageError(`--${flag} ${text}: ro and rw contradict each other`)
  return {
    source: parsePath(flag, source),
    target: target === undefined || target === '' ? undefined : parseContainerPath(flag, target),
    readOnly: words.includes('ro'),
    shift: words.includes('shift') ? true : undefined,
  }
}

/** The same with an absolute source. */
export function bindFrom(text: string, absolute: (path: string) => string): string {
  const source = /^(?:\\[\\:]|[^:])*/.exec(text)?.[0] ?? ''
  const path = absolute(source.replace(/\\([\\:])/g, '$1'))
  return path.replace(/[\\:]/g, '\\$&') + text.slice(source.length)
}

/** `C:H:N`: N ids from C in the container are those from H outside. */
export function parseIdMap(flag: string, text: string): IdMapExtent {
  const [inside, outside, count] = text.split(':').map((part) => (/^\d{1,10}$/.test(part) ? Number(part) : Number.NaN))
  const form = 'write it as CONTAINER:HOST:COUNT, for example 0:100000:65536'
  if (text.split(':').length !== 3 || inside === undefined || outside === undefined || count === undefined) {
    throw invalid(flag, text, 'an id map', form)
  }
  const fits = count >= 1 && inside + count - 1 <= highestId && outside + count - 1 <= highestId
  if (!fits) throw invalid(flag, text, 'an id map', form)
  return {inside, outside, count}
}

/** Extents may not meet inside the container or outside. */
export function checkIdMaps(flag: string, extents: readonly IdMapExtent[]): readonly IdMapExtent[] {
  // user_namespaces(7): the kernel takes 340 lines.
  if (extents.length > 340) throw new UsageError(`--${flag}: at most 340 maps can be given`)
  for (const side of ['inside', 'outside'] as const) {
    const sorted = [...extents].sort((a, b) => a[side] - b[side])
    const meeting = sorted.find(
      (extent, index) => index > 0 && sorted[index - 1]![side] + sorted[index - 1]!.count > extent[side],
    )
    if (meeting !== undefined) {
      throw new UsageError(
        `--${flag}: two maps hold id ${meeting[side]} ${side === 'inside' ? 'of the container' : 'of the host'}`,
      )
    }
  }
  return extents
}

/** `UID[:GID]`; without GID the same number. Names are not looked up: whose password file would it be? */
export function parseUser(flag: string, text: string): {readonly uid: number; readonly gid: number} {
  const match = /^(\d{1,10})(?::(\d{1,10}))?$/.exec(text)
  const uid = Number(match?.[1] ?? Number.NaN)
  const gid = Number(match?.[2] ?? uid)
  if (!(uid <= highestId && gid <= highestId)) {
    throw invalid(flag, text, 'UID[:GID]', 'give numbers, such as 0:0 or 1000; names are not looked up')
  }
  return {uid, gid}
}

/** `K=V`, or `K` alone. */
export function parseVariable(flag: string, text: string): Buffer {
  if (text === '' || text.startsWith('=') || text.includes('\0')) throw invalid(flag, text, 'K=V')
  return toBytes(text)
}

/** The environment of the command: ours or a plain one, with what --env adds. */
export function environmentOf(own: readonly Buffer[], clear: boolean, additions: readonly Buffer[]): readonly Buffer[] {
  const variables = new Map<string, Buffer>()
  const set = (entry: Buffer) => variables.set(nameOf(entry), entry)
  const inherited = new Map(own.map((entry) => [nameOf(entry), entry]))
  if (clear) {
    set(Buffer.from('PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'))
    set(Buffer.from('HOME=/root'))
    set(inherited.get('TERM') ?? Buffer.from('TERM=dumb'))
  } else own.forEach(set)
  for (const addition of additions) {
    const entry = addition.includes('=') ? addition : inherited.get(nameOf(addition))
    if (entry !== undefined) set(entry)
  }
  return [...variables.values()]
}

function nameOf(entry: Buffer): string {
  const equals = entry.indexOf('=')
  return entry.toString('latin1', 0, equals === -1 ? entry.length : equals)
}

function splitAtColons(text: string): readonly string[] {
  const parts: string[] = []
  let part = ''
  for (let at = 0; at < text.length; at++) {
    const escaped = text[at] === '\\' && (text[at + 1] === ':' || text[at + 1] === '\\')
    if (escaped) part += text.charAt(++at)
    else if (text[at] === ':') {
      parts.push(part)
      part = ''
    } else part += text.charAt(at)
  }
  return [...parts, part]
}
