// Decisions and a vocabulary for tests of what is rendered.

import {errnoName} from '../../src/kernel/errno.js'
import type {StartSummary} from '../../src/container/run-options.js'
import {dev, dirFd, mode, path} from '../../src/intercept/caller/argument-kinds.js'
import type {Decision} from '../../src/intercept/decision.js'
import type {Vocabulary} from '../../src/render/trace.js'

export const vocabulary: Vocabulary = {
  describe: (syscall) =>
    syscall === 'mknodat' ? {dirfd: dirFd(0), pathname: path(1), mode: mode(2), dev: dev(3)} : undefined,
  errnoName,
}

export const timeMs = Date.UTC(2026, 0, 2, 3, 4, 5, 678)

export function decision(changes: Partial<Decision> = {}): Decision {
  return {
    timeMs,
    latencyUs: 23.12,
    pid: 4123,
    tid: 4123,
    hostPid: 70_123,
    uid: 0,
    gid: 0,
    comm: 'mknod',
    abi: 'x86_64',
    syscall: 'mknodat',
    values: {dirfd: -100, pathname: new Uint8Array(Buffer.from('dev/null')), mode: 0o020666, dev: 0x103},
    registers: undefined,
    outcome: 'emulated',
    strategy: 'node',
    result: 0,
    errno: null,
    reason: '/dev/null is allowlisted',
    hint: null,
    created: undefined,
    ...changes,
  }
}

export const refused: Partial<Decision> = {
  pid: 4130,
  values: {dirfd: -100, pathname: Buffer.from('sda'), mode: 0o060660, dev: 0x800},
  outcome: 'refused',
  strategy: null,
  result: null,
  errno: 1,
  reason: 'block 8:0 is not allowlisted',
  hint: {flag: '--mknod-allow', value: 'b:8:0'},
}

export const start: StartSummary = {
  name: 'calm-otter',
  rootless: false,
  initPid: 4100,
  command: [Buffer.from('echo'), Buffer.of(0xff)],
  workdir: Buffer.from('/work'),
  hostname: 'calm-otter',
  network: 'host',
  uid: 0,
  gid: 0,
  uidMap: [{inside: 0, outside: 100_000, count: 65_536}],
  gidMap: [{inside: 0, outside: 100_000, count: 65_536}],
  policy: {mknod: {devices: [{type: 'c', major: 1, minor: 3}]}, sysinfo: {}},
}
