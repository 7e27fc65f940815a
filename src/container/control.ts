// What a run leaves in its state for exec, beside the policy. Plain data: bytes are base64.

import {LaunchError} from '../errors.js'
import type {SuperBlocks} from '../intercept/container.js'
import type {FamilyObjects} from '../intercept/engine/prepared.js'
import type {RunState} from './state.js'

export interface Control {
  /** As installed, so that exec can't deny less. */
  readonly denyFilter: Buffer
  readonly workdir: Buffer
  readonly hostname: string
  readonly network: 'host' | 'none'
  readonly hasRootfs: boolean
  readonly superBlocks?: SuperBlocks
  /** Descriptors of the first supervisor. */
  readonly objects: FamilyObjects
}

export function encodeControl({
  denyFilter,
  workdir,
  hostname,
  network,
  hasRootfs,
  superBlocks,
  objects,
}: Control): RunState['control'] {
  return {
    denyFilter: denyFilter.toString('base64'),
    workdir: workdir.toString('base64'),
    hostname,
    network,
    hasRootfs,
    superBlocks,
    objects,
  }
}

/** Throws LaunchError where it was written by another version. */
export function decodeControl({name, control}: RunState): Control {
  const {denyFilter, workdir, hostname, network, hasRootfs, superBlocks, objects} = control
  if (
    typeof denyFilter !== 'string' ||
    typeof workdir !== 'string' ||
    typeof hostname !== 'string' ||
    (network !== 'host' && network !== 'none') ||
    typeof hasRootfs !== 'boolean' ||
    (superBlocks !== undefined && !isSuperBlocks(superBlocks)) ||
    !isObjects(objects)
  )
    throw new LaunchError(`cannot read the state of ${name}: another version of interceptor wrote it`, {
      hints: ['use the version that started it'],
    })
  return {
    denyFilter: Buffer.from(denyFilter, 'base64'),
    workdir: Buffer.from(workdir, 'base64'),
    hostname,
    network,
    hasRootfs,
    ...(superBlocks && {superBlocks}),
    objects,
  }
}

function isSuperBlocks(value: unknown): value is SuperBlocks {
  if (typeof value !== 'object' || value === null) return false
  const {host, mapped} = value as Partial<Record<keyof SuperBlocks, unknown>>
  return [host, mapped].every((list) => Array.isArray(list) && list.every((device) => typeof device === 'string'))
}

function isObjects(value: unknown): value is FamilyObjects {
  if (typeof value !== 'object' || value === null) return false
  return Object.values(value).every((list) => Array.isArray(list) && list.every((fd) => Number.isInteger(fd)))
}
