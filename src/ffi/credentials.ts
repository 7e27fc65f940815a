// Credentials of the calling thread alone, by raw system calls: the C library's wrappers change every thread.

import {nativeNumber} from '../kernel/calls/index.js'
import {ERRNO} from '../kernel/errno.js'
import {FixedMemory, declare, declareCall, declareUnchecked, lastErrno} from './declare.js'
import {SystemError} from './errors.js'

const SETFSUID = nativeNumber('setfsuid')
const SETFSGID = nativeNumber('setfsgid')
const SETRESUID = nativeNumber('setresuid')
const SETGROUPS = nativeNumber('setgroups')
const GETGROUPS = nativeNumber('getgroups')
const CAPGET = nativeNumber('capget')
const CAPSET = nativeNumber('capset')

const LINUX_CAPABILITY_VERSION_3 = 0x20080522
const PR_SET_SECUREBITS = 28
const PR_GET_SECUREBITS = 27
export const SECBIT_NO_SETUID_FIXUP = 1 << 2

const setId = declareUnchecked('syscall', 'long', ['long', 'ulong'])
const setIds = declareUnchecked('syscall', 'long', ['long', 'ulong', 'ulong', 'ulong'])
const setGroups = declareUnchecked('syscall', 'long', ['long', 'ulong', 'buffer'])
const capability = declareUnchecked('syscall', 'long', ['long', 'address', 'address'])
const callPrctl = declare('prctl', ['int', 'ulong', 'ulong', 'ulong', 'ulong'])
const callUmask = declareUnchecked('umask', 'int', ['uint'])
export const gettid = declareCall('gettid', [])

/** (uid_t)-1 is never valid, so that this only tells the id that is set. */
const ASK = 0xffffffff

/** Sets the id and looks whether it is set: setfsuid(2) reports no errors of its own. */
export function setfsuid(uid: number): void {
  setId(SETFSUID, uid)
  if (getfsuid() !== uid) throw new SystemError('setfsuid', ERRNO.EPERM)
}

export function setfsgid(gid: number): void {
  setId(SETFSGID, gid)
  if (getfsgid() !== gid) throw new SystemError('setfsgid', ERRNO.EPERM)
}

export function getfsuid(): number {
  return setId(SETFSUID, ASK) >>> 0
}

export function getfsgid(): number {
  return setId(SETFSGID, ASK) >>> 0
}

/** The effective user of this thread alone; fsuid follows it (setresuid(2)). */
export function seteuid(uid: number): void {
  if (setIds(SETRESUID, ASK, uid, ASK) < 0) throw new SystemError('setresuid', lastErrno())
}

export function setgroups(groups: Uint32Array): void {
  if (setGroups(SETGROUPS, groups.length, groups) < 0) throw new SystemError('setgroups', lastErrno())
}

export function getgroups(): Uint32Array {
  const groups = new Uint32Array(65_536)
  const count = setGroups(GETGROUPS, groups.length, groups)
  if (count < 0) throw new SystemError('getgroups', lastErrno())
  return groups.slice(0, count)
}

/** The previous mask. It belongs to the thread once unshare(CLONE_FS) was called. */
export function umask(mask: number): number {
  return callUmask(mask & 0o777)
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
  if (capability(CAPGET, capabilityHeader.address, memory.address) < 0) throw new SystemError('capget', lastErrno())
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
    if (capability(CAPSET, capabilityHeader.address, this.#data.address) < 0)
      throw new SystemError('capset', lastErrno())
  }
}

/** From now on changes of ids leave the capability sets of this thread alone (capabilities(7)). Needs CAP_SETPCAP. */
export function keepCapabilitiesOnIdChange(): void {
  const bits = callPrctl(PR_GET_SECUREBITS, 0, 0, 0, 0)
  callPrctl(PR_SET_SECUREBITS, bits | SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
}
