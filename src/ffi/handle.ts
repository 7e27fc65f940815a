// File handles of kernfs, by which a cgroup is found by its id: open_by_handle_at(2), fs/kernfs/mount.c.

import {declareCall} from './declare.js'

/** FILEID_KERNFS (include/linux/exportfs.h): the 64-bit id of the node. */
const FILEID_KERNFS = 0xfe

const callOpen = declareCall('open_by_handle_at', ['fd', 'buffer', 'int'])

/** Opens the kernfs node `id` in the mount that `mount` lies in; ESTALE where it is gone. Needs CAP_DAC_READ_SEARCH. */
export function openKernfsNode(mount: number, id: bigint, flags: number): number {
  // struct file_handle: bytes of the handle, its type, the handle.
  const handle = Buffer.alloc(16)
  handle.writeUInt32LE(8, 0)
  handle.writeInt32LE(FILEID_KERNFS, 4)
  handle.writeBigUInt64LE(id, 8)
  return callOpen(mount, handle, flags)
}
