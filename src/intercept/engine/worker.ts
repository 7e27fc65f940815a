// Entry of the worker threads, hot, slow and for handlers: waits for what it is for and for a container, then answers its
// calls.

import {parentPort} from 'node:worker_threads'

import {close, openat} from '../../ffi/libc.js'
import {ProcessMemory} from '../../ffi/memory.js'
import {Notifier, setSyncWakeUp} from '../../ffi/seccomp.js'
import {AT_FDCWD, O_CLOEXEC, O_RDONLY} from '../../kernel/constants.js'
import {pidColumnOf} from '../caller/caller.js'
import {ThreadIdentity} from '../caller/identity.js'
import {StatusReader} from '../caller/status-reader.js'
import {Composition} from '../composition.js'
import {FAMILIES} from '../families/index.js'
import type {AnyFamily} from '../family.js'
import {Recorder} from '../log/recorder.js'
import {Dispatcher} from './dispatcher.js'
import {isHungUp, runLoop} from './notification-loop.js'
import {Registry} from './registry.js'
import {PULSE} from './worker-protocol.js'
import type {Attachment, FromWorker, ToWorker, WorkerStart} from './worker-protocol.js'

interface Engine {
  readonly registry: Registry
  readonly notifier: Notifier
  readonly dispatcher: Dispatcher
}

if (parentPort === null) throw new Error('this file is the entry of a worker')
const port = parentPort
const send = (message: FromWorker): void => port.postMessage(message)

// What costs time is made while the container is still being launched.
const identity = new ThreadIdentity()
const memory = new ProcessMemory()
const statuses = new StatusReader()
let lane: LaneWorker | undefined
let ready: Promise<void> | undefined

// The first message says what for. A rejection ends the worker, and its error reaches the main thread.
port.on('message', (message: ToWorker | WorkerStart | undefined) => {
  // Nobody came for this thread.
  if (message === undefined) port.close()
  else if (ready === undefined) ready = begin(message as WorkerStart)
  else if (lane === undefined) void ready.then(() => lane?.receive(message as ToWorker))
  else lane.receive(message as ToWorker)
})

async function begin(start: WorkerStart): Promise<void> {
  const {policy, rootless, familyModules} = start
  const families = [...FAMILIES, ...(await Promise.all(familyModules.map(loadFamily)))]
  const composition = new Composition({policy, rootless, families})
  lane = new LaneWorker(start, start.lane === 'handler' ? await composition.withHandlers() : composition)
}

async function loadFamily(url: string): Promise<AnyFamily> {
  const {family} = (await import(url)) as {readonly family: AnyFamily}
  return family
}

class LaneWorker {
  readonly #start: WorkerStart
  readonly #composition: Composition
  readonly #recorder: Recorder
  readonly #pulse: Int32Array
  #engine: Engine | undefined

  constructor(start: WorkerStart, composition: Composition) {
    this.#start = start
    this.#composition = composition
    const {traffic, log, wanted, pulse} = start
    this.#recorder = new Recorder({traffic, log, wanted, tell: () => send({kind: 'decisions'})})
    this.#pulse = new Int32Array(pulse)
  }

  receive(message: ToWorker): void {
    switch (message.kind) {
      case 'attach':
        this.#engine = this.#attachUnlessGone(message)
        if (this.#engine !== undefined && this.#start.lane === 'hot') this.#superviseUntilEnd(this.#engine)
        break
      case 'notification':
        this.#answerSlowly(message)
        break
      case 'stop':
        this.#end('stop')
        break
      default:
        message satisfies never
    }
  }

  /** undefined where the container has ended before it could be looked at: that is an end, not a failure. */
  #attachUnlessGone(attachment: Extract<ToWorker, {kind: 'attach'}>): Engine | undefined {
    try {
      const attached = this.#attach(attachment)
      if (attachment.isFirst) takeUp(attached, attachment)
      return attached
    } catch (error) {
      if (!isHungUp(attachment.listener)) throw error
      this.#end('hangup')
      return undefined
    }
  }

  #attach({listener, container, shared}: Attachment): Engine {
    const notifier = new Notifier(listener)
    const registry = new Registry(this.#composition, container, shared)
    const pidColumn = pidColumnOf(container.initPid, statuses)
    const context = {container, identity, memory, statuses, pidColumn}
    return {registry, notifier, dispatcher: new Dispatcher(notifier, registry, context, this.#recorder)}
  }

  #superviseUntilEnd({notifier, dispatcher}: Engine): void {
    // Without it each answer wakes the caller on another processor; correct either way.
    setSyncWakeUp(notifier.listener)
    const reason = runLoop({
      notifier,
      dispatcher,
      recorder: this.#recorder,
      stopEvent: this.#start.stopEvent,
      pulse: this.#pulse,
      handOver: send,
    })
    this.#end(reason)
  }

  #answerSlowly({bytes, receivedMs}: Extract<ToWorker, {kind: 'notification'}>): void {
    if (this.#engine === undefined) throw new Error('a notification came before its container')
    const {notifier, dispatcher} = this.#engine
    notifier.bytes.set(bytes)
    // Everything ends: nobody waits for the answer.
    if (!this.#recorder.waitForLog()) return
    Atomics.add(this.#pulse, PULSE.beat, 1)
    try {
      // Each worker counts from its own start.
      dispatcher.answer(dispatcher.find(), receivedMs - performance.timeOrigin)
    } finally {
      Atomics.add(this.#pulse, PULSE.beat, 1)
    }
    this.#recorder.flush()
    send({kind: 'answered'})
  }

  #end(reason: Extract<FromWorker, {kind: 'end'}>['reason']): void {
    this.#recorder.flush()
    identity.beSupervisor()
    send({kind: 'end', reason})
    port.close()
  }
}

/** What earlier runs left is known before the command starts. */
function takeUp({registry}: Engine, {container}: Attachment): void {
  const namespace = openat(AT_FDCWD, `/proc/${container.initPid}/ns/mnt`, O_RDONLY | O_CLOEXEC, 0)
  try {
    send({kind: 'restored', ...registry.restore((action) => identity.inMountNamespace(namespace, undefined, action))})
  } finally {
    close(namespace)
  }
}
