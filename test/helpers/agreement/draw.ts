// Policies and calls drawn at random, for `explain` and `run` to be asked about.

import {readFileSync} from 'node:fs'

import fc from 'fast-check'

import {MACHINE_ABIS} from '../../../src/kernel/abi.js'
import {syscallNumber} from '../../../src/kernel/calls/index.js'

/** What flags and a configuration file come to. */
export interface DrawnPolicy {
  readonly flags: readonly string[]
  /** Text of the file that --config names; undefined: none. */
  readonly file: string | undefined
}

/** A register, or bytes that it points to. */
export type DrawnArgument = Buffer | number

export interface DrawnCall {
  /** As strace writes it. */
  readonly text: string
  readonly name: string
  readonly number: number
  readonly arguments: readonly DrawnArgument[]
}

/** Files in the working directory, by number: one is there for each call, and a directory. */
export const fileOf = (index: number): string => `f${index}`
export const DIRECTORY = 'd'

type Settings = Readonly<Record<string, string | true | readonly string[] | undefined>>

const DEVICES = ['c:1:3', 'c:10:229', 'c:5:4', 'b:8:0', 'b:7:0']
const ATTRIBUTES = ['trusted.foo', 'trusted.overlay.redirect']

/** By the names of flags, which are keys of a file too. */
const settings: fc.Arbitrary<Settings> = fc.record({
  mknod: maybe(fc.constant(true as const), 2),
  'mknod-allow': maybe(some(DEVICES), 3),
  setxattr: maybe(fc.constant(true as const), 2),
  'setxattr-allow': maybe(some(ATTRIBUTES), 3),
  sysinfo: maybe(fc.constant(true as const), 2),
  'sched-setscheduler': maybe(fc.constant(true as const), 2),
  'sched-max-priority': maybe(fc.constantFrom('1', '50', '99'), 4),
  mount: maybe(fc.constant(true as const), 3),
  'mount-allowed': maybe(some(['ext4', 'overlay']), 4),
  'mount-fuse': maybe(some(['ext4=fuse2fs', 'xfs=fuse-xfs']), 6),
  'bpf-devices': maybe(fc.constant(true as const), 6),
  'finit-module': maybe(some(['dummy', 'loop']), 6),
})

/** What only a file says: ours, and LXD's. */
const fileOnly: fc.Arbitrary<Settings> = fc.record({
  user: maybe(fc.constantFrom('7:8', '0:8'), 4),
  'security.syscalls.deny': maybe(
    fc.array(denyRule(), {minLength: 1, maxLength: 4}).map((lines) => lines.join('\n')),
    2,
  ),
  'security.syscalls.deny_default': maybe(fc.constantFrom('true', 'false'), 3),
  // Neither command takes one.
  'security.syscalls.allow': maybe(fc.constant('read\nwrite'), 20),
  // The last is root of the host, which nobody may have.
  'raw.idmap': maybe(fc.constantFrom('both 1000 1000', 'uid 50-60 500-510\ngid 1000 1000', 'both 0 77'), 6),
})

const LXD_KEYS: Readonly<Record<string, string>> = {
  mknod: 'mknod',
  setxattr: 'setxattr',
  sysinfo: 'sysinfo',
  'sched-setscheduler': 'sched_setscheduler',
  mount: 'mount',
  'mount-allowed': 'mount.allowed',
  'mount-fuse': 'mount.fuse',
}

/** Flags alone, a file alone, or both, of which flags win; keys of ours, of LXD, or in the form of `lxc config show`. */
export const policies: fc.Arbitrary<DrawnPolicy> = fc
  .record({
    typed: settings,
    configured: settings,
    more: fileOnly,
    form: fc.constantFrom('flags', 'own', 'lxd', 'both'),
    isWhole: fc.boolean(),
  })
  .map(({typed, configured, more, form, isWhole}) => ({
    flags: form === 'flags' || form === 'both' ? flagsFor(typed) : [],
    file: form === 'flags' ? undefined : fileFor({...configured, ...more}, {isLxd: form !== 'own', isWhole}),
  }))

function flagsFor(drawn: Settings): readonly string[] {
  return entriesOf(drawn).flatMap(([key, value]) =>
    value === true ? [`--${key}`] : [value].flat().flatMap((one) => [`--${key}`, one]),
  )
}

/** YAML holds JSON: that is how values are written. */
function fileFor(drawn: Settings, {isLxd, isWhole}: {readonly isLxd: boolean; readonly isWhole: boolean}): string {
  const lines = entriesOf(drawn).map(([key, value]): readonly [isOfLxd: boolean, line: string] => {
    const lxd = LXD_KEYS[key]
    if (key.includes('.')) return [true, `${key}: ${JSON.stringify(value)}`]
    if (!isLxd || lxd === undefined) return [false, `${key}: ${JSON.stringify(value)}`]
    const text = value === true ? 'true' : [value].flat().join(',')
    return [true, `security.syscalls.intercept.${lxd}: ${JSON.stringify(text)}`]
  })
  if (!isLxd || !isWhole) return lines.map(([, line]) => `${line}\n`).join('')
  const own = lines.filter(([isOfLxd]) => !isOfLxd).map(([, line]) => `${line}\n`)
  const config = lines.filter(([isOfLxd]) => isOfLxd).map(([, line]) => `  ${line}\n`)
  return ['architecture: x86_64\n', ...own, 'config:\n', '  image.os: Debian\n', ...config].join('')
}

function entriesOf(drawn: Settings): readonly (readonly [string, string | true | readonly string[]])[] {
  return Object.entries(drawn).flatMap(([key, value]) => (value === undefined ? [] : [[key, value] as const]))
}

/** Nothing that a program needs between the filter and its end. */
function denyRule(): fc.Arbitrary<string> {
  const names = ['mknodat', 'mknod', 'setxattr', 'lsetxattr', 'removexattr', 'sysinfo', 'sched_setscheduler', 'mount']
  const others = ['umount2', 'acct', 'personality', 'getsid', 'getpriority', 'kexec_load', 'delete_module']
  const rule = fc.record({
    name: fc.constantFrom(...[...names, ...others].filter((name) => numberOf(name) !== undefined)),
    action: fc.constantFrom('errno 1', 'errno 13', 'errno 38', 'kill', 'trap', 'allow', ''),
    // The mode of mknodat(2), the flags of umount2(2); of other calls whatever stands there.
    condition: maybe(fc.constantFrom('[2,24576,SCMP_CMP_MASKED_EQ,61440]', '[1,1,SCMP_CMP_EQ]', '[2,1,>=][1,0,!=]'), 3),
  })
  // Sorting in the C library asks for the memory of the machine.
  const harmless = rule.filter(({name, action}) => name !== 'sysinfo' || !['kill', 'trap'].includes(action))
  const lines = harmless.map(({name, action, condition}) => [name, action, condition ?? ''].join(' ').trim())
  return fc.oneof({weight: 8, arbitrary: lines}, {weight: 1, arbitrary: fc.constant('reject_force_umount')})
}

/** As many calls, each with a file of its own. */
export function calls(count: number): fc.Arbitrary<readonly DrawnCall[]> {
  return fc.tuple(...Array.from({length: count}, (_, index) => oneCall(index)))
}

function oneCall(index: number): fc.Arbitrary<DrawnCall> {
  const kinds = [nodes(index), attributes(index), attributes(index), priorities(), mounts(), others(index)]
  return fc.oneof(...kinds.map((kind) => kind.filter((drawn): drawn is DrawnCall => drawn !== undefined)))
}

type Maybe = fc.Arbitrary<DrawnCall | undefined>

const TYPES = {S_IFCHR: 0o020_000, S_IFBLK: 0o060_000, S_IFIFO: 0o010_000, S_IFREG: 0o100_000} as const

function nodes(index: number): Maybe {
  return fc
    .record({
      at: fc.boolean(),
      type: fc.constantFrom(...Object.entries(TYPES)),
      permissions: fc.nat({max: 0o777}),
      major: fc.constantFrom(0, 1, 5, 7, 8, 10),
      minor: fc.constantFrom(0, 1, 3, 4, 5, 229),
    })
    .map(({at, type: [type, bits], permissions, major, minor}) => {
      const path = `n${index}`
      const rest = [bits | permissions, (major << 8) | minor]
      const shown = `"${path}", ${type}|0${permissions.toString(8)}, makedev(${major}, ${minor})`
      return at
        ? call('mknodat', `AT_FDCWD, ${shown}`, [-100, text(path), ...rest])
        : call('mknod', shown, [text(path), ...rest])
    })
}

function attributes(index: number): Maybe {
  const name = fc.constantFrom('trusted.overlay.opaque', ...ATTRIBUTES, 'trusted.x', 'user.a', 'security.capability')
  return fc
    .record({prefix: fc.constantFrom('', 'l'), what: fc.constantFrom('set', 'set', 'get', 'list', 'remove'), name})
    .map(({prefix, what, name: attribute}) => {
      const path = fileOf(index)
      switch (what) {
        case 'set':
          return call(`${prefix}setxattr`, `"${path}", "${attribute}", "y", 1, 0`, [
            ...[text(path), text(attribute), Buffer.from('y')],
            ...[1, 0],
          ])
        case 'get':
          return call(`${prefix}getxattr`, `"${path}", "${attribute}", NULL, 0`, [text(path), text(attribute), 0, 0])
        case 'list':
          return call(`${prefix}listxattr`, `"${path}", NULL, 0`, [text(path), 0, 0])
        default:
          return call(`${prefix}removexattr`, `"${path}", "${attribute}"`, [text(path), text(attribute)])
      }
    })
}

const POLICIES = {SCHED_OTHER: 0, SCHED_FIFO: 1, SCHED_RR: 2, SCHED_BATCH: 3} as const

function priorities(): Maybe {
  return fc
    .record({policy: fc.constantFrom(...Object.entries(POLICIES)), priority: fc.constantFrom(1, 10, 50, 51, 99)})
    .map(({policy: [name, policy], priority}) => {
      const isRealTime = policy === POLICIES.SCHED_FIFO || policy === POLICIES.SCHED_RR
      const value = isRealTime ? priority : 0
      return call('sched_setscheduler', `0, ${name}, [${value}]`, [0, policy, words(value)])
    })
}

const MS_BIND = 4096
const MNT_FORCE = 1

/** Types that this kernel has: it would load the module of another, for the whole machine. */
function mounts(): Maybe {
  const known = readFileSync('/proc/filesystems', 'latin1').split(/\s+/)
  const types = ['ext4', 'overlay', 'tmpfs', 'proc'].filter((type) => known.includes(type))
  const target = text(DIRECTORY)
  return fc.oneof(
    fc
      .constantFrom(...types)
      .map((type) =>
        call('mount', `"nosuchsource", "${DIRECTORY}", "${type}", 0, NULL`, [
          ...[text('nosuchsource'), target, text(type)],
          ...[0, 0],
        ]),
      ),
    fc.constant(call('mount', `"${DIRECTORY}", "${DIRECTORY}", NULL, MS_BIND, NULL`, [target, target, 0, MS_BIND, 0])),
    fc.constant(call('umount2', `"nosuchfile", MNT_FORCE`, [text('nosuchfile'), MNT_FORCE])),
  )
}

function others(index: number): Maybe {
  const path = text(fileOf(index))
  return fc.constantFrom(
    call('sysinfo', '0x7fff0000', [Buffer.alloc(256)]),
    call('acct', '"nosuchfile"', [text('nosuchfile')]),
    call('personality', '0xffffffff', [0xffff_ffff]),
    call('getsid', '0', [0]),
    call('getpriority', 'PRIO_PROCESS, 0', [0, 0]),
    call('kexec_load', '0, 0, NULL, 0', [0, 0, 0, 0]),
    call('kexec_file_load', '-1, -1, 0, NULL, 0', [-1, -1, 0, 0, 0]),
    call('open_by_handle_at', '-1, NULL, 0', [-1, 0, 0]),
    call('delete_module', '"nosuchmodule", 0', [text('nosuchmodule'), 0]),
    call('finit_module', '-1, "", 0', [-1, text(''), 0]),
    call('ioctl', '-1, TIOCSTI, "x"', [-1, 0x5412, text('x')]),
    call('chmod', `"${fileOf(index)}", 0666`, [path, 0o666]),
  )
}

/** Undefined where the native ABI lacks it. */
function call(name: string, shown: string, given: readonly DrawnArgument[]): DrawnCall | undefined {
  const number = numberOf(name)
  return number === undefined ? undefined : {text: `${name}(${shown}) = 0`, name, number, arguments: given}
}

function numberOf(name: string): number | undefined {
  const [native = 'x86_64'] = MACHINE_ABIS
  return syscallNumber(native, name)
}

function text(string: string): Buffer {
  return Buffer.from(`${string}\0`)
}

function words(...values: readonly number[]): Buffer {
  return Buffer.from(Int32Array.from(values).buffer)
}

/** Undefined but for one time in `every`. */
function maybe<T>(arbitrary: fc.Arbitrary<T>, every: number): fc.Arbitrary<T | undefined> {
  return fc.nat({max: every - 1}).chain((drawn) => (drawn === 0 ? arbitrary : fc.constant(undefined)))
}

function some(values: readonly string[]): fc.Arbitrary<readonly string[]> {
  return fc.subarray([...values], {minLength: 1})
}
