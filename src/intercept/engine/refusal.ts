// Refuses a notification from the main thread, in the place of a worker that did not come back from it.

import {isSystemError} from '../../ffi/errors.js'
import {Notifier} from '../../ffi/seccomp.js'
import {NATIVE_ABI, abiOf} from '../../kernel/abi.js'
import {ERRNO} from '../../kernel/errno.js'
import {pidColumnOf} from '../caller/caller.js'
import {idInside} from '../caller/id-map.js'
import {NotificationRegisters} from '../caller/registers.js'
import {StatusReader} from '../caller/status-reader.js'
import type {Decision} from '../decision.js'
import type {HandlerCall} from './handler-lane.js'
import type {Attachment} from './worker-protocol.js'

export class Refuser {
  readonly #notifier: Notifier
  readonly #attachment: Attachment
  readonly #statuses = new StatusReader()

  constructor(attachment: Attachment) {
    this.#attachment = attachment
    this.#notifier = new Notifier(attachment.listener)
  }

  /** undefined where nobody waited for an answer any more: the caller is gone, or the worker had answered after all. */
  refuse(call: HandlerCall, reason: string): Decision | undefined {
    const notifier = this.#notifier
    notifier.bytes.set(call.bytes)
    const identity = this.#identity(notifier.tid)
    if (!notifier.fail(ERRNO.EPERM)) return undefined
    return {
      timeMs: call.receivedMs,
      latencyUs: (performance.timeOrigin + performance.now() - call.receivedMs) * 1000,
      ...identity,
      abi: abiOf(notifier.arch, notifier.number) ?? NATIVE_ABI,
      syscall: call.name,
      values: undefined,
      registers: new NotificationRegisters(notifier.words).all(),
      outcome: 'refused',
      strategy: null,
      result: -1,
      errno: ERRNO.EPERM,
      reason,
      hint: null,
      created: undefined,
    }
  }

  #identity(tid: number): Pick<Decision, 'comm' | 'gid' | 'hostPid' | 'pid' | 'tid' | 'uid'> {
    try {
      const {initPid, uidMap, gidMap} = this.#attachment.container
      const column = pidColumnOf(initPid, this.#statuses)
      const status = this.#statuses.read(tid)
      if (status !== undefined) {
        const {tgid, comm, uid, gid, namespaceTids, namespaceTgids} = status
        const [pid = 0, inner = 0] = [namespaceTgids[column], namespaceTids[column]]
        return {pid, tid: inner, hostPid: tgid, uid: idInside(uidMap, uid), gid: idInside(gidMap, gid), comm}
      }
    } catch (error) {
      if (!isSystemError(error)) throw error
    }
    return {pid: 0, tid: 0, hostPid: tid, uid: 0, gid: 0, comm: ''}
  }
}
