// bpf: device programs of cgroups, loaded for the container and attached at or below its own cgroup.

import {
  attachWith,
  detachWith,
  linkDeviceProgram,
  openProgram,
  programInfo,
  queryDevicePrograms,
  tryLoadDeviceProgram,
} from '../../../ffi/bpf.js'
import type {Attachment} from '../../../ffi/bpf.js'
import {isSystemError} from '../../../ffi/errors.js'
import {close, closeQuietly} from '../../../ffi/libc.js'
import {CAP, capabilityMask} from '../../../kernel/capabilities.js'
import {ERRNO} from '../../../kernel/errno.js'
import {
  BPF_CGROUP_DEVICE,
  BPF_F_REPLACE,
  BPF_INSTRUCTION_BYTES,
  BPF_LINK_CREATE,
  BPF_PROG_DETACH,
  BPF_PROG_LOAD,
  BPF_PROG_QUERY,
  BPF_PROG_TYPE_CGROUP_DEVICE,
} from '../../../kernel/names/bpf.js'
import {uint32} from '../../caller/argument-kinds.js'
import {defineFamily, defineSyscall} from '../../family.js'
import type {Caller, Performed} from '../../family.js'
import {bpfAttr, bpfCommand} from './attr.js'
import type {BpfAttr} from './attr.js'
import {CgroupSubtree} from './cgroup-subtree.js'
import {checkPrograms, unsupportedPrograms} from './check.js'
import {BPF_CONDITION, BPF_F_RELATIVE, decideBpf, forbiddenInstruction, member} from './decide.js'
import {bpfPolicy} from './policy.js'
import type {BpfPolicy} from './policy.js'
import {ProgramBudget, isThere} from './program-budget.js'
import {ProgramStandIns, standInsMemory} from './stand-ins.js'

const STRATEGY = 'program'
/** bpf_prog_load() copies 127 bytes of the license. */
const LICENSE_BYTES = 128
/** What libbpf asks for at most. */
const LOG_BYTES_MAX = 16 * 1024 * 1024
/** More than a cgroup and all above it can have. */
const QUERY_MAX = 4096
/** Never CAP_PERFMON, nor CAP_SYS_ADMIN, which stands for it: programs could then read the kernel's memory. */
const CAPABILITIES = capabilityMask(CAP.BPF, CAP.NET_ADMIN)

interface BpfState {
  readonly rootless: boolean
  /** undefined where the container has no cgroup in the unified hierarchy. */
  readonly subtree: CgroupSubtree | undefined
  readonly budget: ProgramBudget
  readonly standIns: ProgramStandIns
}

const bpf = defineSyscall({
  name: 'bpf',
  arguments: {cmd: bpfCommand(0), attr: bpfAttr(1, 0, 2), size: uint32(2)},
  condition: BPF_CONDITION,
  // The verifier may take seconds.
  lane: 'slow',
  decide: (values, facts, policy: BpfPolicy) => decideBpf(values, facts, policy),
  perform({cmd, attr, size}, caller, state: BpfState): Performed {
    if (attr === null) throw new Error('an attribute that was not read')
    if (state.rootless) return refused('only root of the host can load and attach device programs')
    switch (cmd) {
      case BPF_PROG_LOAD:
        return load(attr, size, caller, state)
      case BPF_PROG_QUERY:
        return query(attr, size, caller, state)
      default:
        return attach(cmd, attr, caller, state)
    }
  },
})

function load(attr: BpfAttr, size: number, caller: Caller, {budget, standIns}: BpfState): Performed {
  const count = member(attr, 'insn_cnt')
  const log = logOf(attr)
  if (log === undefined) return failed(ERRNO.EINVAL)
  const instructions = caller.memory.bytes(member(attr, 'insns'), count * BPF_INSTRUCTION_BYTES)
  const license = readLicense(caller, member(attr, 'license'))
  const forbidden = forbiddenInstruction(instructions)
  if (forbidden !== undefined) return refused(forbidden)
  try {
    // What the container has closed must not count.
    standIns.sweep()
    budget.reserve(count)
  } catch (error) {
    if (!isSystemError(error, ERRNO.ENOMEM)) throw error
    return tooMany()
  }
  const program = {
    instructions,
    license,
    name: Buffer.from(attr.progName, 'latin1'),
    flags: member(attr, 'prog_flags'),
    expectedAttachType: member(attr, 'expected_attach_type'),
    kernelVersion: member(attr, 'kern_version'),
    log,
  }
  const {fd, errno, logTrueSize} = caller.act(CAPABILITIES, undefined, () => tryLoadDeviceProgram(program))
  try {
    writeLog(attr, caller, log.buffer)
    if (size >= LOG_TRUE_SIZE + 4) writeWord(caller, attr, LOG_TRUE_SIZE, logTrueSize)
    if (fd < 0) return failed(errno)
    budget.add(programInfo(fd).id, count)
  } catch (error) {
    if (fd >= 0) closeQuietly(fd)
    throw error
  }
  try {
    return {kind: 'descriptor', fd: standIns.add(fd), closeOnExec: true, strategy: STRATEGY}
  } catch (error) {
    if (!isSystemError(error, ERRNO.ENOMEM)) throw error
    return tooMany()
  }
}

const tooMany = (): Performed => ({...failed(ERRNO.ENOMEM), reason: 'the container has too many programs'})

const LOG_TRUE_SIZE = 140

/** undefined where the kernel says EINVAL: a buffer and its length come together (bpf_verifier_log_attr_valid()). */
function logOf(attr: BpfAttr): {readonly level: number; readonly buffer: Buffer | null} | undefined {
  const size = member(attr, 'log_size')
  if ((member(attr, 'log_buf') === 0) !== (size === 0)) return undefined
  // Zeroed: what the verifier does not write must not be memory of ours.
  const buffer = size === 0 ? null : Buffer.alloc(Math.min(size, LOG_BYTES_MAX))
  return {level: member(attr, 'log_level'), buffer}
}

/** The verifier's words up to their NUL. */
function writeLog(attr: BpfAttr, caller: Caller, buffer: Buffer | null): void {
  if (buffer === null || buffer[0] === 0) return
  caller.memory.write(member(attr, 'log_buf'), buffer.subarray(0, buffer.indexOf(0) + 1))
}

function readLicense(caller: Caller, address: number): Buffer {
  try {
    return caller.memory.string(address, LICENSE_BYTES)
  } catch (error) {
    if (!isSystemError(error, ERRNO.ENAMETOOLONG)) throw error
    return caller.memory.bytes(address, LICENSE_BYTES - 1)
  }
}

/** Any other type of program: the kernel's error where the descriptor is bad, else a refusal. See decideBpf(). */
function attachOther(caller: Caller, fd: number): Performed {
  const {type} = programInfo(caller.openDescriptor(fd | 0))
  return type === BPF_PROG_TYPE_CGROUP_DEVICE ? failed(ERRNO.EINVAL) : refused('only device programs can be attached')
}

function attach(cmd: number, attr: BpfAttr, caller: Caller, state: BpfState): Performed {
  const isLink = cmd === BPF_LINK_CREATE
  const programFd = member(attr, isLink ? 'prog_fd' : 'attach_bpf_fd')
  if (member(attr, 'attach_type') !== BPF_CGROUP_DEVICE) return attachOther(caller, programFd)
  if (Number.isNaN(member(attr, 'expected_revision'))) return failed(ERRNO.ESTALE)
  const programs = new OwnPrograms(caller, state.standIns)
  try {
    return attachOwn(cmd, attr, caller, state, programs)
  } finally {
    programs.close()
  }
}

function attachOwn(cmd: number, attr: BpfAttr, caller: Caller, state: BpfState, programs: OwnPrograms): Performed {
  const isLink = cmd === BPF_LINK_CREATE
  const isDetach = cmd === BPF_PROG_DETACH
  const flags = member(attr, isLink ? 'flags' : 'attach_flags')
  const program = programs.open(member(attr, isLink ? 'prog_fd' : 'attach_bpf_fd'), isDetach)
  if (typeof program !== 'number') return program
  const cgroup = ownCgroup(caller, member(attr, 'target_fd'), state)
  if (typeof cgroup !== 'number') return cgroup
  const replaced = (flags & BPF_F_REPLACE) === 0 ? 0 : programs.open(member(attr, 'replace_bpf_fd'))
  if (typeof replaced !== 'number') return replaced
  const isRelative = (flags & BPF_F_RELATIVE) !== 0 && member(attr, 'relative_fd') !== 0
  const relative = isRelative ? programs.open(member(attr, 'relative_fd')) : 0
  if (typeof relative !== 'number') return relative
  const expectedRevision = BigInt(member(attr, 'expected_revision'))
  const attachment: Attachment = {cgroup, program, flags, replaced, relative, expectedRevision}
  caller.assertAlive()
  return caller.act(CAPABILITIES, undefined, () => {
    if (isLink) return {kind: 'descriptor', fd: linkDeviceProgram(attachment), closeOnExec: true, strategy: STRATEGY}
    if (isDetach) detachWith(attachment)
    else attachWith(attachment)
    return {kind: 'done', value: 0, strategy: STRATEGY}
  })
}

/** The programs that one call of the container means. */
class OwnPrograms {
  readonly #caller: Caller
  readonly #standIns: ProgramStandIns
  readonly #opened: number[] = []

  constructor(caller: Caller, standIns: ProgramStandIns) {
    this.#caller = caller
    this.#standIns = standIns
  }

  /**
   * A descriptor of the program that `fd` of the caller stands for, until `close`. Only those that we loaded may be
   * attached, because only those were looked through. To detach none is needed where the cgroup allows only one
   * (cgroup_bpf_prog_detach()).
   */
  open(fd: number, mayLack = false): number | Performed {
    try {
      const standIn = this.#caller.openDescriptor(fd | 0)
      const program = this.#standIns.find(standIn)
      if (program !== undefined) {
        this.#opened.push(program)
        return program
      }
      // EINVAL where it is no program at all.
      if (programInfo(standIn).type !== BPF_PROG_TYPE_CGROUP_DEVICE) return failed(ERRNO.EINVAL)
    } catch (error) {
      const isNone = isSystemError(error, ERRNO.EBADF) || isSystemError(error, ERRNO.EINVAL)
      if (mayLack && isNone) return -1
      throw error
    }
    return refused('the program was not loaded in this container')
  }

  close(): void {
    this.#opened.forEach(closeQuietly)
  }
}

function ownCgroup(caller: Caller, fd: number, {subtree}: BpfState): number | Performed {
  if (subtree === undefined) return refused('the container has no cgroup of version 2')
  const opened = caller.openDescriptor(fd | 0)
  const place = subtree.locate(opened)
  switch (place) {
    case 'inside':
      return opened
    case 'missing':
      return failed(ERRNO.ENOENT)
    case 'other':
      return failed(ERRNO.EBADF)
    case 'outside':
      return refused("the cgroup is not the container's, nor below it")
    default:
      return place satisfies never
  }
}

/** Offsets of what the kernel writes into the attribute. */
const QUERY_ATTACH_FLAGS = 12
const QUERY_PROG_CNT = 24
const QUERY_REVISION = 56

function query(attr: BpfAttr, size: number, caller: Caller, state: BpfState): Performed {
  const cgroup = ownCgroup(caller, member(attr, 'target_fd'), state)
  if (typeof cgroup !== 'number') return cgroup
  const room = Math.min(member(attr, 'prog_cnt'), QUERY_MAX)
  const wanted = (name: string): Buffer | null =>
    member(attr, name) === 0 || room === 0 ? null : Buffer.alloc(room * 4)
  const [ids, each] = [wanted('prog_ids'), wanted('prog_attach_flags')]
  const flags = member(attr, 'query_flags')
  const found = caller.act(CAPABILITIES, undefined, () => queryDevicePrograms(cgroup, flags, ids, each))
  if (size >= QUERY_ATTACH_FLAGS + 4) writeWord(caller, attr, QUERY_ATTACH_FLAGS, found.attachFlags)
  if (size >= QUERY_PROG_CNT + 4) writeWord(caller, attr, QUERY_PROG_CNT, found.count)
  if (size >= QUERY_REVISION + 8) {
    const revision = Buffer.alloc(8)
    revision.writeBigUInt64LE(found.revision)
    caller.memory.write(attr.address + QUERY_REVISION, revision)
  }
  const length = Math.min(room, found.count) * 4
  if (ids !== null && length > 0) caller.memory.write(member(attr, 'prog_ids'), ids.subarray(0, length))
  if (each !== null && length > 0) caller.memory.write(member(attr, 'prog_attach_flags'), each.subarray(0, length))
  return found.errno === 0 ? {kind: 'done', value: 0, strategy: STRATEGY} : failed(found.errno)
}

function writeWord(caller: Caller, {address}: BpfAttr, offset: number, value: number): void {
  const word = Buffer.alloc(4)
  word.writeUInt32LE(value)
  caller.memory.write(address + offset, word)
}

const refused = (reason: string): Performed => ({kind: 'refuse', errno: ERRNO.EPERM, reason})
const failed = (errno: number): Extract<Performed, {kind: 'failed'}> => ({kind: 'failed', errno, strategy: STRATEGY})

export const bpfFamily = defineFamily<BpfPolicy, BpfState, SharedArrayBuffer>({
  name: 'bpf',
  summary: 'device programs of the cgroups of the container',
  strategies: [
    {
      name: STRATEGY,
      summary: "loaded by the supervisor; attaches to the container's cgroup or below",
      needs: 'CAP_BPF and CAP_NET_ADMIN in the initial user namespace, and a cgroup of version 2',
    },
  ],
  policy: bpfPolicy,
  unsupported: unsupportedPrograms,
  check: checkPrograms,
  calls: () => [bpf],
  // Device programs need cgroups that the container can open and make.
  prepare: ({devices}, {rootless}) => ({ownCgroup: devices && !rootless ? '--bpf-devices' : undefined}),
  attach() {
    const memory = standInsMemory()
    return {shared: memory, stop: () => new ProgramStandIns(memory).close()}
  },
  start(_policy, {cgroup, rootless}, memory = standInsMemory()) {
    const own = cgroup?.unified?.own
    const isAlive = (id: number): boolean => isThere(() => close(openProgram(id)))
    return {
      rootless,
      subtree: own === undefined || rootless ? undefined : new CgroupSubtree(own),
      budget: new ProgramBudget(isAlive),
      standIns: new ProgramStandIns(memory),
    }
  },
})
