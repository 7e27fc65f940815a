// Device numbers as system calls and policies write them.

export interface DeviceNumber {
  readonly major: number
  readonly minor: number
}

/** A device node as a policy names it. */
export interface Device extends DeviceNumber {
  readonly type: 'b' | 'c'
}

/**
 * What --mknod alone allows: the eight of LXD without the whiteout, which the kernel makes by itself, and 5:2. None of
 * them gives access to anything that a process without a node does not have: 5:0 and 5:2 depend on who opens them, and
 * 5:1 can't be opened inside, because the device rule of the container's cgroup leaves it out.
 */
export const DEFAULT_DEVICES: readonly Device[] = [
  {type: 'c', major: 1, minor: 3},
  {type: 'c', major: 1, minor: 5},
  {type: 'c', major: 1, minor: 7},
  {type: 'c', major: 1, minor: 8},
  {type: 'c', major: 1, minor: 9},
  {type: 'c', major: 5, minor: 0},
  {type: 'c', major: 5, minor: 1},
  {type: 'c', major: 5, minor: 2},
]

// Numbers of Documentation/admin-guide/devices.txt.
const CHARACTER_DEVICES: ReadonlyMap<number, string> = new Map([
  [encodeDevice({major: 1, minor: 3}), '/dev/null'],
  [encodeDevice({major: 1, minor: 5}), '/dev/zero'],
  [encodeDevice({major: 1, minor: 7}), '/dev/full'],
  [encodeDevice({major: 1, minor: 8}), '/dev/random'],
  [encodeDevice({major: 1, minor: 9}), '/dev/urandom'],
  [encodeDevice({major: 5, minor: 0}), '/dev/tty'],
  [encodeDevice({major: 5, minor: 1}), '/dev/console'],
  [encodeDevice({major: 5, minor: 2}), '/dev/ptmx'],
  [encodeDevice({major: 10, minor: 200}), '/dev/net/tun'],
  [encodeDevice({major: 10, minor: 229}), '/dev/fuse'],
  [encodeDevice({major: 10, minor: 232}), '/dev/kvm'],
  [encodeDevice({major: 10, minor: 237}), '/dev/loop-control'],
])

/** Highest numbers of a dev_t in the kernel: 12 bits of major, 20 of minor. */
export const MAX_MAJOR = 0xfff
export const MAX_MINOR = 0xf_ffff

/** The 32-bit `dev` argument of mknod(2): new_decode_dev() in the kernel's kdev_t.h. */
export function decodeDevice(dev: number): DeviceNumber {
  return {major: (dev >>> 8) & MAX_MAJOR, minor: (dev & 0xff) | ((dev >>> 12) & 0xf_ff00)}
}

/** new_encode_dev(); the result is unsigned. */
export function encodeDevice({major, minor}: DeviceNumber): number {
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0
}

/** As --mknod-allow takes it: `b:8:0`. */
export function formatDevice({type, major, minor}: Device): string {
  return `${type}:${major}:${minor}`
}

/** For people: `/dev/null` where the numbers have one meaning everywhere, else `block 8:0`. */
export function nameDevice(device: Device): string {
  const name = device.type === 'c' ? CHARACTER_DEVICES.get(encodeDevice(device)) : undefined
  return name ?? describeDevice(device)
}

/** For people, without a name: `block 8:0`. */
export function describeDevice({type, major, minor}: Device): string {
  return `${type === 'b' ? 'block' : 'character'} ${major}:${minor}`
}

export function sameDevice(a: Device, b: Device): boolean {
  return a.type === b.type && a.major === b.major && a.minor === b.minor
}

/** st_rdev as libc encodes it; gnu_dev_major() and gnu_dev_minor(). */
export function splitDevice(rdev: bigint): DeviceNumber {
  return {
    major: Number(((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & 0xffff_f000n)),
    minor: Number((rdev & 0xffn) | ((rdev >> 12n) & 0xffff_ff00n)),
  }
}
