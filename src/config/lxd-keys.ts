// Keys of LXD and Incus, alone or in what `lxc config show` and `incus config show` print, as keys of ours.

import {totalmem} from 'node:os'

import type {IdMapExtent} from '../intercept/container.js'
import {FAMILIES} from '../intercept/families/index.js'
import type {LxdKeys} from '../intercept/policy.js'
import {nearest} from '../nearest.js'
import type {ConfiguredDenial} from '../intercept/filter/filter.js'
import {parseDenyRules} from './lxc-rules.js'
import {isMembers, wrong} from './document.js'
import type {ConfigurationDocument, Members, Place} from './document.js'
import {parseRawIdMap} from './raw-idmap.js'

export interface LxdConfiguration {
  readonly values: Readonly<Record<string, string | true | readonly string[]>>
  /** Where each of the values comes from. */
  readonly places: Readonly<Record<string, Place>>
  readonly denied: ConfiguredDenial | undefined
  /** raw.idmap: ids to be mapped otherwise than the rest. */
  readonly idMap: {readonly uid: readonly IdMapExtent[]; readonly gid: readonly IdMapExtent[]} | undefined
  /** Keys without a meaning for one command. */
  readonly passed: readonly string[]
}

/** Members of the file that are not keys: what `lxc config show` puts around them. */
export const AROUND: readonly string[] = (
  'architecture config created_at description devices ephemeral expanded_config expanded_devices instances ' +
  'last_used_at location name profiles project restore stateful status status_code type used_by'
).split(' ')
const WHOLE_FILE = ['architecture', 'config', 'devices', 'ephemeral', 'profiles', 'stateful'] as const

/** What keys of LXD and Incus begin with, before the first point. */
export const NAMESPACES: readonly string[] = (
  'agent boot cloud-init cluster environment image limits linux migration nvidia oci placement raw security snapshots ' +
  'ubuntu_pro user volatile'
).split(' ')
const isNamespaced = (key: string): boolean => NAMESPACES.some((name) => key.startsWith(`${name}.`))

/** Neither rights nor limits of a command: identity, life cycle, and what only virtual machines have. */
const PASSED =
  /^((agent|boot|cloud-init|cluster|image|migration|oci|placement|snapshots|ubuntu_pro|user|volatile)\.|limits\.|linux\.sysctl\.|security\.(agent|csm|devlxd|guestapi|idmap|iommu|protection|secureboot|sev)(\.|$))/

/** On in LXD, these give rights that we do not. */
const RIGHTS = /^(nvidia\.|raw\.|security\.(bpffs|delegate_bpf|nesting|privileged))/

/** What is of ours, and what is of LXD. */
export function separate(document: ConfigurationDocument): {readonly own: Members; readonly lxd: LxdConfiguration} {
  const {data} = document
  const isWhole = WHOLE_FILE.some((name) => Object.hasOwn(data, name))
  const isLxd = (key: string): boolean => isNamespaced(key) || (isWhole && AROUND.includes(key))
  const own = Object.fromEntries(Object.entries(data).filter(([key]) => !isLxd(key)))
  return {own, lxd: new Reading(document).read()}
}

/** incusd and lxd read switches so (IsTrue, IsFalse in shared/util). */
export function readSwitch(text: string): boolean | undefined {
  const word = text.toLowerCase()
  if (['true', '1', 'yes', 'on'].includes(word)) return true
  return ['false', '0', 'no', 'off', ''].includes(word) ? false : undefined
}

class Reading {
  readonly #document: ConfigurationDocument
  readonly #texts = new Map<string, {readonly text: string; readonly place: Place}>()
  readonly #values: Record<string, string | true | readonly string[]> = {}
  readonly #places: Record<string, Place> = {}
  readonly #passed: string[] = []

  constructor(document: ConfigurationDocument) {
    this.#document = document
  }

  read(): LxdConfiguration {
    const {data} = this.#document
    for (const [key, value] of Object.entries(data)) if (isNamespaced(key)) this.#take(key, value, [key])
    const {config} = data
    if (config !== undefined && config !== null) {
      if (!isMembers(config)) throw this.#wrong(['config'], 'config must hold key: value lines')
      for (const [key, value] of Object.entries(config)) this.#take(key, value, ['config', key])
    }
    for (const {policy} of FAMILIES) if (policy.lxd !== undefined) this.#family(policy.lxd)
    this.#limits()
    this.#environment()
    this.#devices()
    const denied = this.#denied()
    const raw = this.#texts.get('raw.idmap')
    this.#texts.delete('raw.idmap')
    const idMap = raw && parseRawIdMap(raw.text, (cause) => this.#wrong(raw.place, cause))
    for (const [key, {text, place}] of this.#texts) this.#rest(key, text, place)
    return {values: this.#values, places: this.#places, denied, idMap, passed: this.#passed}
  }

  #take(key: string, value: unknown, place: Place): void {
    if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean')
      throw this.#wrong(place, `${key} must be a text`)
    // Spellings that Incus still takes.
    const name = key
      .replace(/^(security\.syscalls\.)whitelist/, '$1allow')
      .replace(/^(security\.syscalls\.)blacklist/, '$1deny')
    if (this.#texts.has(name)) throw this.#wrong(place, `${name} is given twice`)
    this.#texts.set(name, {text: String(value), place})
  }

  /** As in LXD, what belongs to a family has no effect while the family is off. */
  #family({switch: {key, flag, words}, others = [], tellsWhenOff = false}: LxdKeys): void {
    const place = this.#texts.get(key)?.place
    const isOn = words === undefined ? this.#switch(key) === true : this.#word(key, words)
    if (isOn && flag !== undefined) this.#set(flag.name, true, place)
    for (const other of others) {
      const own = this.#texts.get(other.key)?.place
      if (other.flag.kind === 'list') this.#list(other.key, other.flag.name, isOn)
      else if (this.#switch(other.key) === true && isOn) this.#set(other.flag.name, true, own)
      if (own !== undefined && !isOn && tellsWhenOff) this.#passed.push(other.key)
    }
  }

  #word(key: string, {on, off}: {readonly on: string; readonly off: string}): boolean {
    const entry = this.#pull(key)
    if (entry !== undefined && entry.text !== on && entry.text !== off)
      throw this.#wrong(entry.place, `${key} must be ${off} or ${on}`)
    return entry?.text === on
  }

  #limits(): void {
    const memory = this.#pull('limits.memory')
    if (memory !== undefined) {
      const share = /^(\d{1,3})%$/.exec(memory.text)?.[1]
      if (share === undefined && !/^\d+ ?([kKMGT](i?B)?|B)?$/.test(memory.text))
        throw this.#wrong(memory.place, 'limits.memory must be a size such as 512MiB, or a share such as 50%')
      const bytes = share === undefined ? memory.text : String(Math.floor((totalmem() * Number(share)) / 100))
      this.#set('memory', bytes, memory.place)
    }
    const processes = this.#pull('limits.processes')
    if (processes !== undefined) this.#set('pids', processes.text, processes.place)
    const cpu = this.#pull('limits.cpu')
    if (cpu !== undefined) this.#set('cpus', this.#processors(cpu.text, cpu.place), cpu.place)
  }

  /** A number of processors, or a set of them, of which the number counts here. */
  #processors(text: string, place: Place): string {
    if (/^\d+$/.test(text)) return text
    const set = new Set<number>()
    for (const part of text.split(',')) {
      const [, from, to = from] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part.trim()) ?? []
      if (from === undefined) throw this.#wrong(place, 'limits.cpu must be a number, or a set such as 0-3')
      for (let index = Number(from); index <= Number(to); index++) set.add(index)
    }
    return String(set.size)
  }

  #environment(): void {
    const entries = [...this.#texts].filter(([key]) => key.startsWith('environment.'))
    if (entries.length === 0) return
    for (const [key] of entries) this.#texts.delete(key)
    const variables = entries.map(([key, {text}]) => `${key.slice('environment.'.length)}=${text}`)
    this.#set('env', variables, entries[0]?.[1].place)
  }

  #denied(): ConfiguredDenial | undefined {
    const lines = (key: string) => {
      const entry = this.#pull(`security.syscalls.${key}`)
      return entry && {place: entry.place, rules: entry.text.split('\n').filter((line) => line.trim() !== '')}
    }
    const [deny, allow] = [lines('deny'), lines('allow')]
    const [denyDefault, denyCompat] = [
      this.#switch('security.syscalls.deny_default'),
      this.#switch('security.syscalls.deny_compat'),
    ]
    if (allow !== undefined && (deny !== undefined || denyDefault === true || denyCompat === true))
      throw this.#wrong(allow.place, 'security.syscalls.allow and security.syscalls.deny* contradict each other')
    // The rules would hold for our own first process as well, which makes calls that no such list foresees.
    if (allow !== undefined)
      throw this.#wrong(allow.place, 'security.syscalls.allow has no counterpart here', [
        'take it out, and name the calls that are denied: security.syscalls.deny',
      ])
    // In LXD this switch denies nothing: its names are none that libseccomp knows.
    if (denyCompat === true) this.#passed.push('security.syscalls.deny_compat')
    if (deny === undefined && denyDefault === undefined) return undefined
    const rules = parseDenyRules(deny?.rules ?? [], (cause) =>
      this.#wrong(deny?.place ?? [], `security.syscalls.deny: ${cause}`),
    )
    return {rules, defaults: denyDefault !== false}
  }

  #devices(): void {
    const {devices} = this.#document.data
    if (devices === undefined || devices === null) return
    if (!isMembers(devices)) throw this.#wrong(['devices'], 'devices must hold one device in each member')
    const [binds, nodes]: [string[], string[]] = [[], []]
    for (const [name, device] of Object.entries(devices)) {
      const place = ['devices', name]
      if (!isMembers(device)) throw this.#wrong(place, `device ${name} must hold key: value lines`)
      const {type, path, source, readonly} = device
      const isText = typeof path === 'string'
      if (type === 'none' || type === 'nic' || (type === 'disk' && path === '/')) this.#passed.push(`devices.${name}`)
      else if ((type === 'unix-char' || type === 'unix-block') && isText && (source ?? path) === path)
        nodes.push(deviceOption(path, device))
      else if (
        type === 'disk' &&
        isText &&
        typeof source === 'string' &&
        source.startsWith('/') &&
        device['pool'] === undefined
      )
        binds.push([source, path].map(escapeColons).join(':') + (isOn(readonly) ? ':ro' : ''))
      else
        throw this.#wrong(place, `device ${name} of type ${String(type)} can't be given to a command`, [
          'take it out, and show what the command needs with bind or device',
        ])
    }
    if (binds.length > 0) this.#set('bind', binds, ['devices'])
    if (nodes.length > 0) this.#set('device', nodes, ['devices'])
  }

  #rest(key: string, text: string, place: Place): void {
    const isOff = readSwitch(text) === false
    if (PASSED.test(key) || (RIGHTS.test(key) && isOff)) this.#passed.push(key)
    else if (RIGHTS.test(key))
      throw this.#wrong(place, `${key} would change what is allowed, and has no counterpart here`, ['take it out'])
    else {
      const meant = nearest(key, KNOWN)
      throw this.#wrong(place, `unknown key ${JSON.stringify(key)}`, meant === undefined ? [] : [`write ${meant}`])
    }
  }

  #switch(key: string): boolean | undefined {
    const entry = this.#pull(key)
    if (entry === undefined) return undefined
    const on = readSwitch(entry.text)
    if (on === undefined) throw this.#wrong(entry.place, `${key} must be true or false`)
    return on
  }

  #list(key: string, flag: string, on: boolean): void {
    const entry = this.#pull(key)
    const items = (entry?.text ?? '').split(',').flatMap((item) => (item.trim() === '' ? [] : [item.trim()]))
    if (entry !== undefined && on && items.length > 0) this.#set(flag, items, entry.place)
  }

  #pull(key: string): {readonly text: string; readonly place: Place} | undefined {
    const entry = this.#texts.get(key)
    this.#texts.delete(key)
    return entry
  }

  #set(flag: string, value: string | true | readonly string[], place: Place = []): void {
    this.#values[flag] = value
    this.#places[flag] = place
  }

  #wrong(place: Place, cause: string, hints: readonly string[] = []): Error {
    return wrong(this.#document.file, this.#document.line(place), cause, hints)
  }
}

function isOn(value: unknown): boolean {
  return value === true || (typeof value === 'string' && readSwitch(value) === true)
}

function escapeColons(path: string): string {
  return path.replace(/[\\:]/g, '\\$&')
}

const KNOWN: readonly string[] = [
  ...FAMILIES.flatMap(({lxdKeys}) => lxdKeys),
  ...['allow', 'deny', 'deny_default', 'deny_compat'].map((name) => `security.syscalls.${name}`),
  ...['limits.cpu', 'limits.memory', 'limits.processes', 'raw.idmap'],
]

/** LXD's own defaults are the container's root and 0660 for a device with any of the three. */
function deviceOption(path: string, {mode, uid, gid}: Readonly<Record<string, unknown>>): string {
  if (mode === undefined && uid === undefined && gid === undefined) return escapeColons(path)
  return [escapeColons(path), uid ?? 0, gid ?? 0, mode ?? '0660'].map(String).join(':')
}
