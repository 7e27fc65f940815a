// What no container may write to, because this run or the next one takes it at its word.

import {UsageError} from '../../errors.js'
import {below, display} from '../../host/path-bytes.js'
import type {ExecutedFile} from '../../intercept/preparation.js'
import type {FilesystemStep} from '../plan.js'
import {thisHost} from './host.js'
import {resolveOnHost} from './mount-points.js'

export interface Guarded {
  /** Absolute and without links. */
  readonly path: Buffer
  /** `written`: the directory or file of the host that the container could write to. */
  readonly refuse: (written: Buffer) => UsageError
}

/** The container could choose what the supervisor executes, when it is next read: in this run, or in a later one. */
export function executed({flag, path}: ExecutedFile): Guarded {
  return {
    path,
    refuse: () =>
      new UsageError(
        `cannot use --${flag} ${display(path)}: the container can write to it, and it runs outside of it`,
        {
          hints: ['keep it where the container cannot write, such as the directory above', 'or add --read-only'],
        },
      ),
  }
}

/** The container could trust the configuration that it wrote, in the next run. `store`: see trust-store.ts. */
export function trustList(store: Buffer): Guarded {
  return {
    path: resolveOnHost(thisHost, store).path,
    refuse: (written) =>
      new UsageError(
        `cannot let the container write to ${display(written)}: the configuration files that you trust are listed there`,
        {hints: [`show parts of it, or all of it read-only: --bind ${display(written)}:${display(written)}:ro`]},
      ),
  }
}

/** @throws UsageError where `steps` let the container write to one of them, or to a part of it */
export function refuseWritable(steps: readonly FilesystemStep[], guarded: readonly Guarded[]): void {
  for (const step of steps) {
    if ((step.kind !== 'bind' && step.kind !== 'root') || step.named === undefined) continue
    if (step.flags.readOnly === true) continue
    const {source} = step
    const touched = guarded.find(({path}) => below(path, source) !== undefined || below(source, path) !== undefined)
    if (touched !== undefined) throw touched.refuse(source)
  }
}
