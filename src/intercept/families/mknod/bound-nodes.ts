// Which emulated nodes are no nodes of their own for the kernel: mounts over a placeholder, or placeholders alone.

import type {Statx} from '../../../ffi/mount.js'
import {STATX_ATTR_MOUNT_ROOT, S_IFMT} from '../../../kernel/constants.js'
import type {Device} from '../../../kernel/device-numbers.js'
import type {ManifestEntry} from '../../family.js'

/** Each costs memory here and a mount in the container. */
export const BOUND_NODES_MAX = 65_536

export interface BoundNode {
  readonly device: Device
  readonly strategy: 'bind' | 'record'
  /** As made; absolute in the container as far as that can be told. */
  path: Buffer
  /** Permissions, and ids of the container: what the node should have. */
  mode: number
  uid: number
  gid: number
  /** Of the mount over the placeholder; undefined for a placeholder alone. */
  readonly mountId: number | undefined
  /** The inode that stat(2) shows: the device node under a mount, or the placeholder. */
  readonly inode: string
  /** Nothing else has this inode but copies of this mount in other mount namespaces, and links to this node. */
  readonly ownInode: boolean
  /** Name in the store of nodes, where the node is ours. */
  readonly stored: string | undefined
  /** Keeps mode and owner with the placeholder; undefined where nothing does. */
  readonly record?: {readonly write: (node: BoundNode) => boolean; readonly close: () => void} | undefined
}

/** `8:0:17`: device of the file system, and number in it. */
export function inodeKey(status: Pick<Statx, 'devMajor' | 'devMinor' | 'inode'>): string {
  return `${status.devMajor}:${status.devMinor}:${status.inode}`
}

/** The nodes that follow-up calls must be carried out for. Bounded; while it is empty no call is looked at. */
export class BoundNodes {
  readonly #byMount = new Map<number, BoundNode>()
  /** More than one where a node has several links. */
  readonly #byInode = new Map<string, Set<BoundNode>>()
  readonly #nodes = new Set<BoundNode>()
  readonly #limit: number

  constructor(limit = BOUND_NODES_MAX) {
    this.#limit = limit
  }

  get size(): number {
    return this.#nodes.size
  }

  get full(): boolean {
    return this.#nodes.size >= this.#limit
  }

  add(node: BoundNode): void {
    if (this.full) throw new RangeError('too many bound nodes')
    // A mount that the container took away leaves its id to a later one (mnt_alloc_id() before unique ids).
    const stale = node.mountId === undefined ? undefined : this.#byMount.get(node.mountId)
    if (stale !== undefined) this.remove(stale)
    this.#nodes.add(node)
    if (node.mountId !== undefined) this.#byMount.set(node.mountId, node)
    if (!node.ownInode) return
    const links = this.#byInode.get(node.inode)
    if (links === undefined) this.#byInode.set(node.inode, new Set([node]))
    else links.add(node)
  }

  /** The node that a path leads to, by what statx(2) says of it. The inode is compared too, as mount ids come again. */
  find(status: Statx): BoundNode | undefined {
    const inode = inodeKey(status)
    const isMount = (status.attributes & STATX_ATTR_MOUNT_ROOT) !== 0
    if (isMount) {
      const node = this.#byMount.get(status.mountId)
      if (node?.inode === inode) return node
    }
    // In a copy of the mount namespace the mount has another id; a node of ours has an inode that nothing else has.
    const [node] = this.#byInode.get(inode) ?? []
    return node !== undefined && isMount === (node.mountId !== undefined) ? node : undefined
  }

  remove(node: BoundNode): void {
    if (this.#nodes.delete(node)) node.record?.close()
    if (node.mountId !== undefined && this.#byMount.get(node.mountId) === node) this.#byMount.delete(node.mountId)
    const links = this.#byInode.get(node.inode)
    links?.delete(node)
    if (links?.size === 0) this.#byInode.delete(node.inode)
  }
}

export interface NodeChange {
  readonly removed?: true
  readonly movedTo?: Buffer
  /** What was at `movedTo`, if anything, is now at the node's old path. */
  readonly exchanged?: true
}

/** For --manifest: a node, or what became of the one that was at its path. */
export function manifestEntry(node: BoundNode, change: NodeChange = {}): ManifestEntry {
  const {path, strategy, device, mode, uid, gid} = node
  return {
    kind: 'node',
    path,
    type: device.type,
    major: device.major,
    minor: device.minor,
    mode: mode & ~S_IFMT,
    uid,
    gid,
    strategy,
    ...change,
  }
}
