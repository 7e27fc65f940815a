// What a run leaves in its state for exec, beside the policy. Plain data: bytes are base64.

import {LaunchError} from '../errors.js'
import type {LaunchPlan} from './plan.js'
import type {RunState} from './state.js'

export interface Control {
  /** As installed, so that exec can't deny less. */
  readonly denyFilter: Buffer
  readonly workdir: Buffer
  readonly hostname: string
  readonly network: 'host' | 'none'
  readonly hasRootfs: boolean
}

export function encodeControl(
  {denyFilter, workdir, hostname, network}: Pick<LaunchPlan, 'denyFilter' | 'hostname' | 'network' | 'workdir'>,
  hasRootfs: boolean,
): RunState['control'] {
  return {
    denyFilter: denyFilter.toString('base64'),
    workdir: workdir.toString('base64'),
    hostname,
    network,
    hasRootfs,
  }
}

/** Throws LaunchError where it was written by another version. */
export function decodeControl({name, control}: RunState): Control {
  const {denyFilter, workdir, hostname, network, hasRootfs} = control
  if (
    typeof denyFilter !== 'string' ||
    typeof workdir !== 'string' ||
    typeof hostname !== 'string' ||
    (network !== 'host' && network !== 'none') ||
    typeof hasRootfs !== 'boolean'
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
  }
}
