// The ABIs by which a program may call the kernel, and which of them this machine has.

export type Abi = 'aarch64' | 'arm' | 'i386' | 'x32' | 'x86_64'

/** Set in every system call number of x32 (asm/unistd.h); the audit architecture is that of x86_64. */
export const X32_SYSCALL_BIT = 0x4000_0000

/** Those of open(2) that differ between machines (asm/fcntl.h). */
interface OpenFlags {
  readonly O_DIRECT: number
  readonly O_DIRECTORY: number
  readonly O_NOFOLLOW: number
}

const X86_OPEN_FLAGS: OpenFlags = {O_DIRECT: 0o40_000, O_DIRECTORY: 0o200_000, O_NOFOLLOW: 0o400_000}
const ARM_OPEN_FLAGS: OpenFlags = {O_DIRECT: 0o200_000, O_DIRECTORY: 0o40_000, O_NOFOLLOW: 0o100_000}

/** Of seccomp_data.arch: the ABI has 64-bit registers. x32 has it too (include/uapi/linux/audit.h). */
export const AUDIT_ARCH_64BIT = 0x8000_0000

interface AbiFacts {
  /** seccomp_data.arch (linux/audit.h): the ELF machine, 0x80000000 for 64 bits, 0x40000000 for little endian. */
  readonly auditArch: number
  /** What the kernel takes of each register. The pointers of x32 are shorter, its registers are not. */
  readonly bits: 32 | 64
  /** The machine, as process.arch names it. */
  readonly machine: 'arm64' | 'x64'
  /** Set in every number of a call. */
  readonly numberBit: number
  readonly openFlags: OpenFlags
}

/** Of each machine the native ABI stands first. */
export const ABIS: Readonly<Record<Abi, AbiFacts>> = {
  x86_64: {auditArch: 0xc000_003e, bits: 64, machine: 'x64', numberBit: 0, openFlags: X86_OPEN_FLAGS},
  i386: {auditArch: 0x4000_0003, bits: 32, machine: 'x64', numberBit: 0, openFlags: X86_OPEN_FLAGS},
  x32: {auditArch: 0xc000_003e, bits: 64, machine: 'x64', numberBit: X32_SYSCALL_BIT, openFlags: X86_OPEN_FLAGS},
  aarch64: {auditArch: 0xc000_00b7, bits: 64, machine: 'arm64', numberBit: 0, openFlags: ARM_OPEN_FLAGS},
  arm: {auditArch: 0x4000_0028, bits: 32, machine: 'arm64', numberBit: 0, openFlags: ARM_OPEN_FLAGS},
}

const ALL = Object.keys(ABIS) as Abi[]

/** ABIs that a process on `machine` (process.arch) may use, the native one first; none where it is not supported. */
export function abisOfMachine(machine: string): readonly Abi[] {
  return ALL.filter((abi) => ABIS[abi].machine === machine)
}

/** Those of this machine. Nothing else asks which machine it is. */
export const MACHINE_ABIS: readonly Abi[] = abisOfMachine(process.arch)
export const NATIVE_ABI: Abi = MACHINE_ABIS[0] ?? 'x86_64'
/** As an ELF header names this machine (linux/elf-em.h): the low half of the audit architecture. */
export const NATIVE_ELF_MACHINE = ABIS[NATIVE_ABI].auditArch & 0xffff

/** The ABI of a call as seccomp_data describes it; undefined for an architecture that is not supervised. */
export function abiOf(arch: number, number: number): Abi | undefined {
  for (const abi of ALL) {
    const {auditArch, numberBit} = ABIS[abi]
    if (auditArch !== arch >>> 0) continue
    if (auditArch !== ABIS.x32.auditArch || numberBit === (number & X32_SYSCALL_BIT)) return abi
  }
  return undefined
}
