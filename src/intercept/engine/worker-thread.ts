// Starts worker threads. One takes about as long as Node itself, so that a run may have the first begin before it knows
// what for.

import {write} from 'node:fs'
import {Worker} from 'node:worker_threads'

import {isSource, packageFile} from '../../package-files.js'
import {sourceWorker, sourceWorkerWithLoader} from './source-worker.js'
import type {Lane, WorkerStart} from './worker-protocol.js'

/** A worker keeps nothing from call to call: V8's own limit of 48 is filled with garbage for no gain in speed. */
const YOUNG_MB = 4
const STDERR = 2

let prepared: Worker | undefined

/** Begins a thread for the next `startWorker('hot')`. It keeps nobody from ending who never asks for it. */
export function prepareWorker(): void {
  if (prepared !== undefined) return
  prepared = newWorker({lane: 'hot', familyModules: []})
  prepared.unref()
  // A fresh one fails in the same way, for somebody who listens.
  prepared.once('error', forgetPrepared)
}

/**
 * Ends a thread that nobody came for, when it has begun: koffi, which it loads, aborts the whole process where Node ends a
 * thread in the middle of that.
 */
export async function endPreparedWorker(): Promise<void> {
  const worker = takePrepared()
  if (worker === undefined) return
  const ended = new Promise((resolve) => worker.once('exit', resolve).once('error', resolve))
  worker.postMessage(undefined)
  await ended
}

export function startWorker(lane: Lane, start: WorkerStart): Worker {
  const worker = (lane === 'hot' ? takePrepared() : undefined) ?? newWorker(start)
  worker.postMessage(start)
  return worker
}

function takePrepared(): Worker | undefined {
  const worker = prepared
  worker?.off('error', forgetPrepared).ref()
  prepared = undefined
  return worker
}

function forgetPrepared(): void {
  prepared = undefined
}

function newWorker({lane, familyModules}: Pick<WorkerStart, 'lane' | 'familyModules'>): Worker {
  // Left to itself, Node pipes what a thread prints into process.stdout, which makes the command's stream non-blocking.
  const resourceLimits = {maxYoungGenerationSizeMb: YOUNG_MB}
  const options = {name: `interceptor-${lane}`, resourceLimits, stdout: true, stderr: true}
  const start = familyModules.length > 0 ? sourceWorkerWithLoader : sourceWorker
  const worker = isSource() ? start(options) : new Worker(packageFile('bin/worker.js'), options)
  // Ours print nothing; a handler may, and standard output is the command's.
  if (lane === 'handler') {
    for (const stream of [worker.stdout, worker.stderr])
      stream.on('data', (bytes: Buffer) => write(STDERR, bytes, () => undefined))
  }
  return worker
}
