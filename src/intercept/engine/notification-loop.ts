// The hot loop: waits for notifications with blocking calls, answers each, and sees to it that decisions get out.

import {isSystemError} from '../../ffi/errors.js'
import {FixedMemory, pollAt} from '../../ffi/libc.js'
import type {Notifier} from '../../ffi/seccomp.js'
import {POLLERR, POLLHUP, POLLIN, POLLNVAL} from '../../kernel/constants.js'
import {ERRNO} from '../../kernel/errno.js'
import type {Recorder} from '../log/recorder.js'
import type {Dispatcher} from './dispatcher.js'
import {PULSE} from './worker-protocol.js'
import type {HandedOver} from './worker-protocol.js'

export interface LoopOptions {
  readonly notifier: Notifier
  readonly dispatcher: Dispatcher
  readonly recorder: Recorder
  readonly stopEvent: number
  readonly pulse: Int32Array
  /** Takes a call that may block: a copy of the notification. */
  readonly handOver: (call: HandedOver) => void
}

/** Decisions wait this long for more of them before they are handed over. */
const FLUSH_MS = 4
const FOREVER = -1
/** The filter goes a moment after the last task's /proc directory. */
const HANG_UP_MS = 200
const LISTENER_EVENTS = 1
const STOP_EVENTS = 3

/** Returns when nobody carries the filter any more, when `stopEvent` is readable, or when another worker took over. */
export function runLoop(options: LoopOptions): 'hangup' | 'replaced' | 'stop' {
  const {notifier, recorder, stopEvent, pulse} = options
  const fds = pollList(notifier.listener, stopEvent)
  for (;;) {
    const ready = wait(fds, 2, recorder.hasPending ? FLUSH_MS : FOREVER)
    if (Atomics.load(pulse, PULSE.replaced) !== 0) return 'replaced'
    if (ready === 0) {
      recorder.flush()
      continue
    }
    if (fds.words[STOP_EVENTS]! >>> 16 !== 0) return 'stop'
    const revents = fds.words[LISTENER_EVENTS]! >>> 16
    if ((revents & POLLIN) !== 0) {
      if (!recorder.waitForLog()) return 'stop'
      if (notifier.receive()) answerOne(options)
    } else if ((revents & (POLLHUP | POLLERR | POLLNVAL)) !== 0) return 'hangup'
  }
}

function answerOne({notifier, dispatcher, pulse, handOver}: LoopOptions): void {
  const receivedMs = performance.now()
  const registered = dispatcher.find()
  const {lane, name, timeLimitMs = 0} = registered?.call ?? {lane: 'hot', name: ''}
  if (lane === 'slow' || lane === 'handler') {
    const bytes = Uint8Array.from(notifier.bytes)
    handOver({kind: 'notification', lane, bytes, receivedMs: performance.timeOrigin + receivedMs, name, timeLimitMs})
    return
  }
  Atomics.add(pulse, PULSE.beat, 1)
  try {
    dispatcher.answer(registered, receivedMs)
  } finally {
    Atomics.add(pulse, PULSE.beat, 1)
  }
}

/** struct pollfd: the descriptor, then events and revents as the halves of one word. */
function pollList(listener: number, stopEvent: number): FixedMemory {
  const fds = new FixedMemory(16)
  fds.words.set([listener, POLLIN, stopEvent, POLLIN])
  return fds
}

function wait(fds: FixedMemory, count: number, timeoutMs: number): number {
  try {
    return pollAt(fds.address, count, timeoutMs)
  } catch (error) {
    // A signal, which the main thread deals with: nothing is known of the descriptors then.
    if (!isSystemError(error, ERRNO.EINTR)) throw error
    return 0
  }
}

/** Nobody carries the filter any more. */
export function isHungUp(listener: number): boolean {
  const fds = pollList(listener, listener)
  fds.words[LISTENER_EVENTS] = 0
  return wait(fds, 1, HANG_UP_MS) > 0 && ((fds.words[LISTENER_EVENTS] >>> 16) & POLLHUP) !== 0
}
