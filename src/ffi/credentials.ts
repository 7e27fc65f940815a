// Credentials of the calling thread alone, by raw system calls: the C library's wrappers change every thread.

import {FixedMemory, declare, declareLong, declareUnchecked, lastErrno} from './declare.js'
import {SystemError} from './errors.js'

const NUMBERS =
  process.arch === 'arm64'
    ? {
        setresuid: 147,
        setfsuid: 151,
        setfsgid: 152,
        setgroups: 159,
        getgroups: 158,
        capget: 90,
        capset: 91,
        gettid: 178,
      }
    : {
        setresuid: 117,
        setfsuid: 122,
        setfsgid: 123,
        setgroups: 116,
        getgroups: 115,
        capget: 125,
        capset: 126,
        gettid: 186,
      }

const LINUX_CAPABILITY_VERSION_3 = 0x20080522
const PR_SET_SECUREBITS = 28
const PR_GET_SECUREBITS = 27
export const SECBIT_NO_SETUID_FIXUP = 1 << 2

export const CAP_CHOWN = 0
export const CAP_DAC_OVERRIDE = 1
export const CAP_DAC_READ_SEARCH = 2
export const CAP_FOWNER = 3
export const CAP_FSETID = 4
export const CAP_SETGID = 6
export const CAP_SETUID = 7
export const CAP_SETPCAP = 8
export const CAP_SYS_MODULE = 16
export const CAP_SYS_CHROOT = 18
export const CAP_SYS_PTRACE = 19
export const CAP_SYS_ADMIN = 21
export const CAP_SYS_NICE = 23
export const CAP_MKNOD = 27
export const CAP_BPF = 39
export const CAP_NET_ADMIN = 12
export const CAP_PERFMON = 38

/** One bit, or several, for the sets below. */
export function capabilityMask(...capabilities: readonly number[]): bigint {
  return capabilities.reduce((mask, capability) => mask | (1n << BigInt(capability)), 0n)
}

const setId = declareUnchecked('syscall', 'long', ['long', 'ulong'])
const setIds = declareUnchecked('syscall', 'long', ['long', 'ulong', 'ulong', 'ulong'])
const setGroups = declareUnchecked('syscall', 'long', ['long', 'ulong', 'buffer'])
const capability = declareUnchecked('syscall', 'long', ['long', 'address', 'address'])
const callPrctl = declare('prctl', ['int', 'ulong', 'ulong', 'ulong', 'ulong'])
const callUmask = declareUnchecked('umask', 'int', ['uint'])
const callGettid = declareLong('syscall', ['long'], 'gettid')

/** (uid_t)-1 is never valid, so that this only tells the id that is set. */
const ASK = 0xffffffff

/** Sets the id and looks whether it is set: setfsuid(2) reports no errors of its own. */
export function setfsuid(uid: number): void {
  setId(NUMBERS.setfsuid, uid)
  if (getfsuid() !== uid) throw new SystemError('setfsuid', 1)
}

export function setfsgid(gid: number): void {
  setId(NUMBERS.setfsgid, gid)
  if (getfsgid() !== gid) throw new SystemError('setfsgid', 1)
}

export function getfsuid(): number {
  return setId(NUMBERS.setfsuid, ASK) >>> 0
}

export function getfsgid(): number {
  return setId(NUMBERS.setfsgid, ASK) >>> 0
}

/** The effective user of this thread alone; fsuid follows it (setresuid(2)). */
export function seteuid(uid: number): void {
  if (setIds(NUMBERS.setresuid, ASK, uid, ASK) < 0) throw new SystemError('setresuid', lastErrno())
}

export function setgroups(groups: Uint32Array): void {
  if (setGroups(NUMBERS.setgroups, groups.length, groups) < 0) throw new SystemError('setgroups', lastErrno())
}

export function getgroups(): Uint32Array {
  const groups = new Uint32Array(65_536)
  const count = setGroups(NUMBERS.getgroups, groups.length, groups)
  if (count < 0) throw new SystemError('getgroups', lastErrno())
  return groups.slice(0, count)
}

/** The previous mask. It belongs to the thread once unshare(CLONE_FS) was called. */
export function umask(mask: number): number {
  return callUmask(mask & 0o777)
}

export function gettid(): number {
  return callGettid(NUMBERS.gettid)
}

export interface CapabilitySets {
  readonly effective: bigint
  readonly permitted: bigint
  readonly inheritable: bigint
}

/** The calling thread: pid 0. */
const capabilityHeader = new FixedMemory(2 * 4)
capabilityHeader.words[0] = LINUX_CAPABILITY_VERSION_3

/** Of the calling thread. */
export function capget(): CapabilitySets {
  const memory = new FixedMemory(6 * 4)
  const data = memory.words
  if (capability(NUMBERS.capget, capabilityHeader.address, memory.address) < 0)
    throw new SystemError('capget', lastErrno())
  const join = (low: number, high: number): bigint => (BigInt(high) << 32n) | BigInt(low)
  return {
    effective: join(data[0]!, data[3]!),
    permitted: join(data[1]!, data[4]!),
    inheritable: join(data[2]!, data[5]!),
  }
}

/** A capability state that can be entered again and again without making anything: header and data are kept. */
export class CapabilityState {
  readonly effective: bigint
  readonly #data = new FixedMemory(6 * 4)

  constructor(sets: CapabilitySets) {
    this.effective = sets.effective
    const low = (mask: bigint): number => Number(mask & 0xffffffffn)
    const high = (mask: bigint): number => Number((mask >> 32n) & 0xffffffffn)
    const {effective, permitted, inheritable} = sets
    this.#data.words.set([
      low(effective),
      low(permitted),
      low(inheritable),
      high(effective),
      high(permitted),
      high(inheritable),
    ])
  }

  enter(): void {
    if (capability(NUMBERS.capset, capabilityHeader.address, this.#data.address) < 0)
      throw new SystemError('capset', lastErrno())
  }
}

/** From now on changes of ids leave the capability sets of this thread alone (capabilities(7)). Needs CAP_SETPCAP. */
export function keepCapabilitiesOnIdChange(): void {
  const bits = callPrctl(PR_GET_SECUREBITS, 0, 0, 0, 0)
  callPrctl(PR_SET_SECUREBITS, bits | SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
}
