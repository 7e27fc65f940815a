// The hot loop: waits for notifications with blocking calls, answers each, and sees to it that decisions get out.

import {ERRNO, isSystemError} from '../ffi/errors.js'
import {POLLERR, POLLHUP, POLLIN, poll} from '../ffi/libc.js'
import type {Notifier} from '../ffi/seccomp.js'
import type {Answerer} from './answer.js'
import type {Recorder} from './recorder.js'
import {PULSE} from './worker-protocol.js'
import type {HandedOver} from './worker-protocol.js'

export interface LoopOptions {
  readonly notifier: Notifier
  readonly answerer: Answerer
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
const POLLNVAL = 0x20
const LISTENER_EVENTS = 3
const STOP_EVENTS = 7

/** Returns when nobody carries the filter any more, when `stopEvent` is readable, or when another worker took over. */
export function runLoop(options: LoopOptions): 'hangup' | 'replaced' | 'stop' {
  const {notifier, recorder, stopEvent, pulse} = options
  const fds = new Int32Array([notifier.listener, POLLIN, stopEvent, POLLIN])
  const events = new Int16Array(fds.buffer)
  for (;;) {
    // The halves are events and revents; nothing of the last round may be left in them.
    const ready = wait(fds, recorder.hasPending ? FLUSH_MS : FOREVER)
    if (Atomics.load(pulse, PULSE.replaced) !== 0) return 'replaced'
    if (ready === 0) {
      recorder.flush()
      continue
    }
    if (events[STOP_EVENTS] !== 0) return 'stop'
    const revents = events[LISTENER_EVENTS]!
    if ((revents & POLLIN) !== 0) {
      if (!recorder.waitForLog()) return 'stop'
      if (notifier.receive()) answerOne(options)
    } else if ((revents & (POLLHUP | POLLERR | POLLNVAL)) !== 0) return 'hangup'
  }
}

function answerOne({notifier, answerer, pulse, handOver}: LoopOptions): void {
  const receivedMs = performance.now()
  const registered = answerer.find()
  const {lane, name, timeLimitMs = 0} = registered?.call ?? {lane: 'hot', name: ''}
  if (lane === 'slow' || lane === 'handler') {
    const bytes = Uint8Array.from(notifier.bytes)
    handOver({kind: 'notification', lane, bytes, receivedMs: performance.timeOrigin + receivedMs, name, timeLimitMs})
    return
  }
  Atomics.add(pulse, PULSE.beat, 1)
  try {
    answerer.answer(registered, receivedMs)
  } finally {
    Atomics.add(pulse, PULSE.beat, 1)
  }
}

function wait(fds: Int32Array, timeoutMs: number): number {
  try {
    return poll(fds, 2, timeoutMs)
  } catch (error) {
    // A signal, which the main thread deals with: nothing is known of the descriptors then.
    if (!isSystemError(error, ERRNO.EINTR)) throw error
    fds[1] = POLLIN
    fds[3] = POLLIN
    return 0
  }
}

/** Nobody carries the filter any more. */
export function isHungUp(listener: number): boolean {
  const fds = new Int32Array([listener, 0])
  wait(fds, HANG_UP_MS)
  return (new Int16Array(fds.buffer)[LISTENER_EVENTS]! & POLLHUP) !== 0
}
