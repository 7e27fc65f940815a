// A launch plan built by hand: the host's root read-only, its own /proc, /dev and /tmp.

import type {FilesystemStep, LaunchPlan} from '../../src/container/plan.js'

const HOST_FIRST = 1_000_000

export const bytes = (text: string): Buffer => Buffer.from(text)

/** struct sock_filter records. */
export function filterProgram(...instructions: readonly (readonly [number, number, number, number])[]): Buffer {
  const program = Buffer.alloc(instructions.length * 8)
  instructions.forEach(([code, jt, jf, k], index) => {
    program.writeUInt16LE(code, index * 8)
    program.writeUInt8(jt, index * 8 + 2)
    program.writeUInt8(jf, index * 8 + 3)
    program.writeUInt32LE(k, index * 8 + 4)
  })
  return program
}

const LOAD_NUMBER = [0x20, 0, 0, 0] as const
const RET_ALLOW = [0x06, 0, 0, 0x7fff0000] as const

/** Notifies the one system call of this machine's own ABI; everything else is allowed. */
export function notifyProgram(number: number): Buffer {
  return filterProgram(LOAD_NUMBER, [0x15, 0, 1, number], [0x06, 0, 0, 0x7fc00000], RET_ALLOW)
}

export function denyProgram(number: number, errno: number): Buffer {
  return filterProgram(LOAD_NUMBER, [0x15, 0, 1, number], [0x06, 0, 0, 0x50000 | errno], RET_ALLOW)
}

const DEVICES = ['null', 'zero', 'full', 'random', 'urandom', 'tty']

export function steps(): readonly FilesystemStep[] {
  const device = (name: string): readonly FilesystemStep[] => [
    {kind: 'file', target: bytes(`/dev/${name}`), mode: 0o666},
    {
      kind: 'bind',
      source: bytes(`/dev/${name}`),
      target: bytes(`/dev/${name}`),
      idmap: false,
      recursive: false,
      flags: {nosuid: true, noexec: true},
    },
  ]
  return [
    {kind: 'root', source: bytes('/'), idmap: false, recursive: true, flags: {readOnly: true}},
    {kind: 'tmpfs', target: bytes('/dev'), mode: 0o755, sizeBytes: 65_536, flags: {nosuid: true, noexec: true}},
    ...DEVICES.flatMap(device),
    {kind: 'directory', target: bytes('/dev/pts'), mode: 0o755},
    {kind: 'directory', target: bytes('/dev/mqueue'), mode: 0o755},
    {kind: 'symlink', target: bytes('/dev/ptmx'), to: bytes('pts/ptmx')},
    {kind: 'symlink', target: bytes('/dev/fd'), to: bytes('/proc/self/fd')},
    {kind: 'tmpfs', target: bytes('/tmp'), mode: 0o1777, sizeBytes: 0, flags: {nosuid: true, nodev: true}},
    {kind: 'proc', target: bytes('/proc')},
    {kind: 'devpts', target: bytes('/dev/pts')},
    {kind: 'mqueue', target: bytes('/dev/mqueue')},
  ]
}

export function planOf(command: readonly string[], changes: Partial<LaunchPlan> = {}): LaunchPlan {
  return {
    name: 'test',
    rootless: false,
    uidMap: [{inside: 0, outside: HOST_FIRST, count: 65_536}],
    gidMap: [{inside: 0, outside: HOST_FIRST, count: 65_536}],
    filesystem: steps(),
    network: 'host',
    hostname: 'inside',
    uid: 0,
    gid: 0,
    workdir: bytes('/'),
    environment: [bytes('PATH=/usr/sbin:/usr/bin:/sbin:/bin'), bytes('HOME=/tmp')],
    command: command.map(bytes),
    ignoredSignals: [],
    denyFilter: Buffer.alloc(0),
    notifyFilter: undefined,
    waitKillable: false,
    terminal: undefined,
    remove: [],
    ...changes,
  }
}
