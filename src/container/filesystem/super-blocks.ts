// Which super blocks are the host's: seen once, when the container is complete and nothing of it has run yet.

import {readFileSync} from 'node:fs'

import type {SuperBlocks} from '../../intercept/container.js'
import type {FilesystemStep} from '../plan.js'
import {parseMountInfo, thisHost, type MountPoint} from './host.js'

/**
 * To be called between the launch and the start of the command. `steps`: of the plan that was launched.
 * @returns undefined where the container is gone.
 */
export function superBlocksAtLaunch(initPid: number, steps: readonly FilesystemStep[]): SuperBlocks | undefined {
  let inside: Buffer
  try {
    inside = readFileSync(`/proc/${initPid}/mountinfo`)
  } catch {
    return undefined
  }
  return superBlocksOf(parseMountInfo(inside), thisHost.mountPoints(), steps)
}

/** Pure. `inside`: what the container has mounted, with paths as it sees them; `hosts`: what the host has. */
export function superBlocksOf(
  inside: readonly MountPoint[],
  hosts: readonly MountPoint[],
  steps: readonly FilesystemStep[],
): SuperBlocks {
  const made = inside.filter(({path, type}) => {
    return type === 'tmpfs' && steps.some((step) => step.kind === 'tmpfs' && step.target.equals(path))
  })
  const host = new Set([...inside, ...hosts].map(({device}) => device))
  for (const {device} of made) if (!hosts.some((mount) => mount.device === device)) host.delete(device)
  const others = [...hosts, ...inside.filter(({path}) => !isMapped(path, steps))]
  const mapped = inside.filter(({device, idmapped}) => {
    return idmapped && !others.some((mount) => mount.idmapped && mount.device === device)
  })
  return {host: [...host], mapped: [...new Set(mapped.map(({device}) => device))]}
}

/** Whether the step that made the mount at `path`, or the tree that it came along with, mapped its ids. */
function isMapped(path: Buffer, steps: readonly FilesystemStep[]): boolean {
  let nearest: {readonly length: number; readonly idmap: boolean} | undefined
  for (const step of steps) {
    if (step.kind !== 'root' && step.kind !== 'bind') continue
    const target = step.kind === 'root' ? Buffer.from('/') : step.target
    if (isAtOrBelow(path, target) && target.length >= (nearest?.length ?? 0)) {
      nearest = {length: target.length, idmap: step.idmap}
    }
  }
  return nearest?.idmap === true
}

function isAtOrBelow(path: Buffer, directory: Buffer): boolean {
  const prefix = directory.at(-1) === 0x2f ? directory : Buffer.concat([directory, Buffer.from('/')])
  return path.equals(directory) || path.subarray(0, prefix.length).equals(prefix)
}
