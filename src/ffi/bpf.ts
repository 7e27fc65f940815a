// bpf(2), as far as device programs of cgroups need it.

import koffi from 'koffi'

import {ERRNO, SystemError} from './errors.js'
import {declareLong} from './declare.js'

// asm/unistd.h of each machine; the generic table is arm64's.
const NUMBERS: Readonly<Partial<Record<NodeJS.Architecture, number>>> = {arm64: 280, arm: 386, ia32: 357, x64: 321}

// linux/bpf.h
const BPF_PROG_LOAD = 5
const BPF_PROG_ATTACH = 8
const BPF_PROG_TYPE_CGROUP_DEVICE = 15
const BPF_CGROUP_DEVICE = 6
/** Programs of cgroups below are run too, and cannot take the place of this one. */
const BPF_F_ALLOW_MULTI = 1 << 1

const LOAD_ATTR_BYTES = 72
const ATTACH_ATTR_BYTES = 24
const INSTRUCTION_BYTES = 8

const callBpf = declareLong('syscall', ['long', 'long', 'buffer', 'size'], 'bpf')

/** Loads a program of cgroup-device type. The descriptor is close-on-exec, as the kernel makes it. */
export function loadDeviceProgram(instructions: Buffer, name: string): number {
  const license = Buffer.from('ISC\0')
  const attr = Buffer.alloc(LOAD_ATTR_BYTES)
  attr.writeUInt32LE(BPF_PROG_TYPE_CGROUP_DEVICE, 0)
  attr.writeUInt32LE(instructions.length / INSTRUCTION_BYTES, 4)
  // Memory of Buffers does not move, and both are referenced until after the call.
  attr.writeBigUInt64LE(koffi.address(instructions), 8)
  attr.writeBigUInt64LE(koffi.address(license), 16)
  // prog_name: 15 bytes and a NUL.
  attr.write(name.slice(0, 15), 48, 'latin1')
  const fd = bpf(BPF_PROG_LOAD, attr)
  // Reads both once more, so that neither is collected while only its address is known.
  return instructions.length + license.length > 0 ? fd : -1
}

/** Attaches it to the cgroup, which keeps it when the descriptor is closed. */
export function attachDeviceProgram(cgroup: number, program: number): void {
  const attr = Buffer.alloc(ATTACH_ATTR_BYTES)
  attr.writeUInt32LE(cgroup, 0)
  attr.writeUInt32LE(program, 4)
  attr.writeUInt32LE(BPF_CGROUP_DEVICE, 8)
  attr.writeUInt32LE(BPF_F_ALLOW_MULTI, 12)
  bpf(BPF_PROG_ATTACH, attr)
}

function bpf(command: number, attr: Buffer): number {
  const number = NUMBERS[process.arch]
  if (number === undefined) throw new SystemError('bpf', ERRNO.ENOSYS)
  return callBpf(number, command, attr, attr.length)
}
