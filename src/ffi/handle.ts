// File handles of kernfs, by which a cgroup is found by its id: open_by_handle_at(2), fs/kernfs/mount.c.

import {declareLong} from './declare.js'
import {ERRNO, SystemError} from './errors.js'

const NUMBERS: Readonly<Partial<Record<NodeJS.Architecture, number>>> = {arm64: 265, arm: 371, ia32: 342, x64: 304}

/** FILEID_KERNFS (include/linux/exportfs.h): the 64-bit id of the node. */
const FILEID_KERNFS = 0xfe

const callOpen = declareLong('syscall', ['long', 'long', 'buffer', 'long'], 'open_by_handle_at')

/** Opens the kernfs node `id` in the mount that `mount` lies in; ESTALE where it is gone. Needs CAP_DAC_READ_SEARCH. */
export function openKernfsNode(mount: number, id: bigint, flags: number): number {
  const number = NUMBERS[process.arch]
  if (number === undefined) throw new SystemError('open_by_handle_at', ERRNO.ENOSYS)
  // struct file_handle: bytes of the handle, its type, the handle.
  const handle = Buffer.alloc(16)
  handle.writeUInt32LE(8, 0)
  handle.writeInt32LE(FILEID_KERNFS, 4)
  handle.writeBigUInt64LE(id, 8)
  return callOpen(number, mount, handle, flags)
}
