// bpf(2), as far as device programs of cgroups need it. Offsets are those of union bpf_attr in linux/bpf.h.

import {ERRNO} from '../kernel/errno.js'
import {
  BPF_CGROUP_DEVICE,
  BPF_COMMANDS,
  BPF_F_ALLOW_MULTI,
  BPF_INSTRUCTION_BYTES,
  BPF_LINK_CREATE,
  BPF_PROG_ATTACH,
  BPF_PROG_DETACH,
  BPF_PROG_LOAD,
  BPF_PROG_QUERY,
  BPF_PROG_TYPE_CGROUP_DEVICE,
} from '../kernel/names/bpf.js'
import {addressOf, declareCall} from './declare.js'
import {SystemError} from './errors.js'

const ATTR_BYTES = 152
const INFO_BYTES = 80

const callBpf = declareCall('bpf', ['int', 'buffer', 'size'])

export interface DeviceProgram {
  readonly instructions: Buffer
  readonly license: Buffer
  /** At most 15 bytes. */
  readonly name: Buffer
  readonly flags?: number
  readonly expectedAttachType?: number
  readonly kernelVersion?: number
  /** The verifier writes into `buffer`, which it ends with a NUL. */
  readonly log?: {readonly level: number; readonly buffer: Buffer | null}
}

/** What the verifier would have needed for its whole log; 0 before 6.4. */
export interface LoadOutcome {
  readonly fd: number
  readonly errno: number
  readonly logTrueSize: number
}

/** Loads a program of cgroup-device type. The descriptor is close-on-exec, as the kernel makes it. Does not throw. */
export function tryLoadDeviceProgram(program: DeviceProgram): LoadOutcome {
  const {instructions, name, flags = 0, expectedAttachType = 0, kernelVersion = 0, log} = program
  const license = Buffer.concat([program.license, Buffer.alloc(1)])
  const attr = Buffer.alloc(ATTR_BYTES)
  attr.writeUInt32LE(BPF_PROG_TYPE_CGROUP_DEVICE, 0)
  attr.writeUInt32LE(instructions.length / BPF_INSTRUCTION_BYTES, 4)
  // Memory of Buffers does not move, and all are referenced until after the call.
  attr.writeBigUInt64LE(addressOf(instructions), 8)
  attr.writeBigUInt64LE(addressOf(license), 16)
  if (log !== undefined) {
    attr.writeUInt32LE(log.level, 24)
    if (log.buffer !== null) {
      attr.writeUInt32LE(log.buffer.length, 28)
      attr.writeBigUInt64LE(addressOf(log.buffer), 32)
    }
  }
  attr.writeUInt32LE(kernelVersion, 40)
  attr.writeUInt32LE(flags, 44)
  name.copy(attr, 48, 0, 15)
  attr.writeUInt32LE(expectedAttachType, 68)
  try {
    const fd = bpf(BPF_PROG_LOAD, attr)
    return {fd, errno: 0, logTrueSize: attr.readUInt32LE(140)}
  } catch (error) {
    if (!(error instanceof SystemError)) throw error
    return {fd: -1, errno: error.errno, logTrueSize: attr.readUInt32LE(140)}
  } finally {
    // Looks at them once more, so that none is collected while only its address is known.
    keep(instructions, license, log?.buffer)
  }
}

export function loadDeviceProgram(instructions: Buffer, name: string): number {
  const {fd, errno} = tryLoadDeviceProgram({instructions, license: Buffer.from('ISC'), name: Buffer.from(name)})
  if (errno !== 0) throw new SystemError('bpf', errno)
  return fd
}

export interface Attachment {
  readonly cgroup: number
  readonly program: number
  readonly flags: number
  /** The program that BPF_F_REPLACE puts out. */
  readonly replaced?: number
  /** The program that BPF_F_BEFORE and BPF_F_AFTER speak of. */
  readonly relative?: number
  readonly expectedRevision?: bigint
}

/** Attaches it to the cgroup, which keeps it. Programs of cgroups below run too, and cannot take its place. */
export function attachDeviceProgram(cgroup: number, program: number): void {
  attachWith({cgroup, program, flags: BPF_F_ALLOW_MULTI})
}

export function attachWith(attachment: Attachment): void {
  bpf(BPF_PROG_ATTACH, attachAttr(attachment))
}

/** `program` -1: whatever is attached, where the cgroup allows only one. */
export function detachWith(attachment: Attachment): void {
  bpf(BPF_PROG_DETACH, attachAttr(attachment))
}

/** A close-on-exec descriptor of the link; the program is attached as long as the link is there. */
export function linkDeviceProgram({cgroup, program, flags, relative = 0, expectedRevision = 0n}: Attachment): number {
  const attr = Buffer.alloc(32)
  attr.writeUInt32LE(program, 0)
  attr.writeUInt32LE(cgroup, 4)
  attr.writeUInt32LE(BPF_CGROUP_DEVICE, 8)
  attr.writeUInt32LE(flags, 12)
  attr.writeUInt32LE(relative, 16)
  attr.writeBigUInt64LE(expectedRevision, 24)
  return bpf(BPF_LINK_CREATE, attr)
}

export interface QueryOutcome {
  /** 0, or ENOSPC where there are more programs than room: the rest is valid then too. */
  readonly errno: number
  readonly attachFlags: number
  readonly count: number
  readonly revision: bigint
}

/** `ids` and `flagsOfEach`: four bytes for each program there is room for; null asks for the count alone. */
export function queryDevicePrograms(
  cgroup: number,
  flags: number,
  ids: Buffer | null,
  flagsOfEach: Buffer | null,
): QueryOutcome {
  const attr = Buffer.alloc(64)
  attr.writeInt32LE(cgroup, 0)
  attr.writeUInt32LE(BPF_CGROUP_DEVICE, 4)
  attr.writeUInt32LE(flags, 8)
  if (ids !== null) {
    attr.writeBigUInt64LE(addressOf(ids), 16)
    attr.writeUInt32LE(ids.length / 4, 24)
  }
  if (flagsOfEach !== null) attr.writeBigUInt64LE(addressOf(flagsOfEach), 32)
  let errno = 0
  try {
    bpf(BPF_PROG_QUERY, attr)
  } catch (error) {
    if (!(error instanceof SystemError && error.errno === ERRNO.ENOSPC)) throw error
    errno = error.errno
  }
  keep(ids, flagsOfEach)
  return {
    errno,
    attachFlags: attr.readUInt32LE(12),
    count: attr.readUInt32LE(24),
    revision: attr.readBigUInt64LE(56),
  }
}

export interface ProgramInfo {
  readonly type: number
  readonly id: number
}

/** What a program is. EINVAL where the descriptor is of no program. */
export function programInfo(program: number): ProgramInfo {
  const info = Buffer.alloc(INFO_BYTES)
  const attr = Buffer.alloc(16)
  attr.writeUInt32LE(program, 0)
  attr.writeUInt32LE(INFO_BYTES, 4)
  attr.writeBigUInt64LE(addressOf(info), 8)
  bpf(BPF_COMMANDS.BPF_OBJ_GET_INFO_BY_FD, attr)
  // struct bpf_prog_info begins with type and id.
  return {type: info.readUInt32LE(0), id: info.readUInt32LE(4)}
}

/** Throws ENOENT where no program has this number any more. */
export function openProgram(id: number): number {
  const attr = Buffer.alloc(12)
  attr.writeUInt32LE(id, 0)
  return bpf(BPF_COMMANDS.BPF_PROG_GET_FD_BY_ID, attr)
}

function attachAttr({cgroup, program, flags, replaced = 0, relative = 0, expectedRevision = 0n}: Attachment): Buffer {
  const attr = Buffer.alloc(32)
  attr.writeInt32LE(cgroup, 0)
  attr.writeInt32LE(program, 4)
  attr.writeUInt32LE(BPF_CGROUP_DEVICE, 8)
  attr.writeUInt32LE(flags, 12)
  attr.writeInt32LE(replaced, 16)
  attr.writeInt32LE(relative, 20)
  attr.writeBigUInt64LE(expectedRevision, 24)
  return attr
}

function keep(...buffers: readonly (Buffer | null | undefined)[]): number {
  return buffers.reduce((sum, buffer) => sum + (buffer?.length ?? 0), 0)
}

function bpf(command: number, attr: Buffer): number {
  return callBpf(command, attr, attr.length)
}
