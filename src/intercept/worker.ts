// Entry of the worker threads, hot, slow and for handlers: waits for a container, then answers its calls.

import {parentPort, workerData} from 'node:worker_threads'

import {AT_FDCWD, O_CLOEXEC, O_RDONLY, close, openat} from '../ffi/libc.js'
import {ProcessMemory} from '../ffi/memory.js'
import {Notifier, setSyncWakeUp} from '../ffi/seccomp.js'
import {Answerer} from './answer.js'
import {pidColumnOf} from './caller.js'
import {FAMILIES} from './families.js'
import {loadHandlerFunctions} from './handler.js'
import {ThreadIdentity} from './identity.js'
import {isHungUp, runLoop} from './loop.js'
import {Recorder} from './recorder.js'
import {Registry} from './registry.js'
import {StatusReader} from './status-reader.js'
import type {AnyFamily} from './syscall.js'
import {handlerFamily, handlerFamilyWith} from './syscalls/handler.js'
import {PULSE} from './worker-protocol.js'
import type {Attachment, FromWorker, ToWorker, WorkerStart} from './worker-protocol.js'

interface Engine {
  readonly registry: Registry
  readonly notifier: Notifier
  readonly answerer: Answerer
}

if (parentPort === null) throw new Error('this file is the entry of a worker')
const port = parentPort
const start = workerData as WorkerStart
const send = (message: FromWorker): void => port.postMessage(message)

// What costs time is made while the container is still being launched.
let families: readonly AnyFamily[] = FAMILIES
const identity = new ThreadIdentity()
const memory = new ProcessMemory()
const statuses = new StatusReader()
const {traffic, log, wanted} = start
const recorder = new Recorder({traffic, log, wanted, tell: () => send({kind: 'decisions'})})
const pulse = new Int32Array(start.pulse)
let engine: Engine | undefined

void listen()

/** What was sent before is kept by the port. A rejection ends the worker, and its error reaches the main thread. */
async function listen(): Promise<void> {
  if (start.lane === 'handler') families = await withHandlers()
  if (start.familyModules.length > 0)
    families = [...families, ...(await Promise.all(start.familyModules.map(loadFamily)))]
  port.on('message', receive)
}

function receive(message: ToWorker): void {
  switch (message.kind) {
    case 'attach':
      engine = attachUnlessGone(message)
      if (engine !== undefined && start.lane === 'hot') superviseUntilEnd(engine)
      break
    case 'notification':
      answerSlowly(message)
      break
    case 'stop':
      end('stop')
      break
    default:
      message satisfies never
  }
}

/** The functions of --handler are in this worker alone. */
async function withHandlers(): Promise<readonly AnyFamily[]> {
  const functions = start.policy.handler && (await loadHandlerFunctions(start.policy.handler))
  if (functions === undefined) return FAMILIES
  return FAMILIES.map((family) => (family === handlerFamily ? handlerFamilyWith(functions) : family))
}

async function loadFamily(url: string): Promise<AnyFamily> {
  const {family} = (await import(url)) as {readonly family: AnyFamily}
  return family
}

/** undefined where the container has ended before it could be looked at: that is an end, not a failure. */
function attachUnlessGone(attachment: Extract<ToWorker, {kind: 'attach'}>): Engine | undefined {
  try {
    const attached = attach(attachment)
    if (attachment.isFirst) begin(attached, attachment)
    return attached
  } catch (error) {
    if (!isHungUp(attachment.listener)) throw error
    end('hangup')
    return undefined
  }
}

function attach({listener, container}: Attachment): Engine {
  const notifier = new Notifier(listener)
  const registry = new Registry(families, start.policy, container)
  const pidColumn = pidColumnOf(container.initPid, statuses)
  const context = {container, identity, memory, statuses, pidColumn}
  return {registry, notifier, answerer: new Answerer(notifier, registry, context, recorder)}
}

function begin({registry}: Engine, {container}: Attachment): void {
  const namespace = openat(AT_FDCWD, `/proc/${container.initPid}/ns/mnt`, O_RDONLY | O_CLOEXEC, 0)
  try {
    send({kind: 'begun', ...registry.begin((action) => identity.inMountNamespace(namespace, undefined, action))})
  } finally {
    close(namespace)
  }
}

function superviseUntilEnd({notifier, answerer}: Engine): void {
  // Without it each answer wakes the caller on another processor; correct either way.
  setSyncWakeUp(notifier.listener)
  const reason = runLoop({
    notifier,
    answerer,
    recorder,
    stopEvent: start.stopEvent,
    pulse,
    handOver: send,
  })
  end(reason)
}

function answerSlowly({bytes, receivedMs}: Extract<ToWorker, {kind: 'notification'}>): void {
  if (engine === undefined) throw new Error('a notification came before its container')
  const {notifier, answerer} = engine
  notifier.bytes.set(bytes)
  // Everything ends: nobody waits for the answer.
  if (!recorder.waitForLog()) return
  Atomics.add(pulse, PULSE.beat, 1)
  try {
    // Each worker counts from its own start.
    answerer.answer(answerer.find(), receivedMs - performance.timeOrigin)
  } finally {
    Atomics.add(pulse, PULSE.beat, 1)
  }
  recorder.flush()
  send({kind: 'answered'})
}

function end(reason: Extract<FromWorker, {kind: 'end'}>['reason']): void {
  recorder.flush()
  identity.beSupervisor()
  send({kind: 'end', reason})
  port.close()
}
