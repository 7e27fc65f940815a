// What --mount-source names, opened once before the container exists: objects, whatever their names come to lead to.

import {resolve} from 'node:path'

import {UsageError} from '../../../../errors.js'
import {closeQuietly} from '../../../../ffi/libc.js'
import {fstat} from '../../../../ffi/mount.js'
import {openNamed} from '../../../../host/open.js'
import {display} from '../../../../host/path-bytes.js'
import {S_IFBLK, S_IFDIR, S_IFMT, S_IFREG} from '../../../../kernel/constants.js'
import type {Device} from '../../../../kernel/device-numbers.js'
import {pathOfDescriptor} from '../../../caller/descriptor-path.js'

/** Plain data; workers have the same descriptors. */
export type OpenedSource =
  | {readonly kind: 'device'; readonly fd: number; readonly device: Device}
  /** An image file; its device and inode are what a call is compared with. */
  | {readonly kind: 'image'; readonly fd: number}
  /** A directory of images, and its path when it was opened. */
  | {readonly kind: 'directory'; readonly fd: number; readonly path: Buffer}

/**
 * O_PATH descriptors, to be closed by `closeSources`.
 *
 * @throws UsageError for a path that leads nowhere, past a link that a container may have made, or to something else
 */
export function openSources(paths: readonly string[]): readonly OpenedSource[] {
  const opened: OpenedSource[] = []
  try {
    for (const path of paths) opened.push(openSource(Buffer.from(resolve(path))))
    return opened
  } catch (error) {
    closeSources(opened)
    throw error
  }
}

/** The same of descriptors that were opened so, which are taken over. Those that are not `wanted` are closed. */
export function sourcesOf(descriptors: readonly number[], wanted: (index: number) => boolean): readonly OpenedSource[] {
  return descriptors.flatMap((fd, index) => {
    const source = wanted(index) ? sourceOf(fd) : undefined
    if (source === undefined) closeQuietly(fd)
    return source === undefined ? [] : [source]
  })
}

export function closeSources(sources: readonly OpenedSource[]): void {
  for (const {fd} of sources) closeQuietly(fd)
}

function openSource(path: Buffer): OpenedSource {
  const fd = openNamed('mount-source', path)
  const source = sourceOf(fd)
  if (source !== undefined) return source
  closeQuietly(fd)
  throw new UsageError(`cannot use --mount-source ${display(path)}: it is no block device, file or directory`)
}

/** Undefined for what cannot be mounted. */
function sourceOf(fd: number): OpenedSource | undefined {
  const {mode, rdevMajor: major, rdevMinor: minor} = fstat(fd)
  switch (mode & S_IFMT) {
    case S_IFBLK:
      return {kind: 'device', fd, device: {type: 'b', major, minor}}
    case S_IFREG:
      return {kind: 'image', fd}
    case S_IFDIR:
      return {kind: 'directory', fd, path: pathOfDescriptor(fd)}
    default:
      return undefined
  }
}
