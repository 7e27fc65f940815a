// One notification from its registers to its answer and its record: decode, facts, decide, perform, send.

import {errnoText, isSystemError} from '../../ffi/errors.js'
import {closeQuietly} from '../../ffi/libc.js'
import type {Notifier} from '../../ffi/seccomp.js'
import {NATIVE_ABI, abiOf} from '../../kernel/abi.js'
import {syscallName} from '../../kernel/calls/index.js'
import {ERRNO} from '../../kernel/errno.js'
import {CallerGone, ThreadCaller} from '../caller/caller.js'
import type {CallerContext} from '../caller/caller.js'
import {NotificationRegisters} from '../caller/registers.js'
import type {Decision, Outcome} from '../decision.js'
import type {Arguments, ManifestEntry, Performed, Values, Verdict} from '../family.js'
import type {Recorder} from '../log/recorder.js'
import type {RegisteredCall, Registry} from './registry.js'

/** What is answered where interceptor itself fails: the kernel's word for what is not allowed. Never `continue`. */
const INTERNAL_ERRNO = ERRNO.EPERM
const KERNEL_ERROR = "the kernel's own error"

const OUTCOMES: Readonly<Record<Performed['kind'], Outcome>> = {
  continue: 'continued',
  descriptor: 'emulated',
  done: 'emulated',
  failed: 'failed',
  refuse: 'refused',
  replaced: 'emulated',
}

interface SentAnswer {
  /** False where the caller was gone. */
  readonly arrived: boolean
  readonly value: number | null
  readonly errno: number | null
}

/** What becomes known of a call on its way. */
interface OneCall {
  readonly caller: ThreadCaller
  readonly name: string
  values: Record<string, unknown> | undefined
  /** Why it was performed. */
  performReason: string
}

export class Dispatcher {
  readonly #notifier: Notifier
  readonly #registry: Registry
  readonly #context: CallerContext
  readonly #recorder: Recorder
  readonly #registers: NotificationRegisters
  readonly #isValid: () => boolean

  constructor(notifier: Notifier, registry: Registry, context: CallerContext, recorder: Recorder) {
    this.#notifier = notifier
    this.#registry = registry
    this.#context = context
    this.#recorder = recorder
    this.#registers = new NotificationRegisters(notifier.words)
    this.#isValid = () => notifier.isValid()
  }

  /** The call that was received last; undefined for a number that nobody registered. */
  find(): RegisteredCall | undefined {
    return this.#registry.find(this.#notifier.arch, this.#notifier.number)
  }

  /** Answers the notification that lies in the notifier. `receivedMs`: performance.now() when it came. */
  answer(registered: RegisteredCall | undefined, receivedMs: number): void {
    const precheck = registered?.call.precheck?.(registered.state)
    // Most of these calls concern objects that were not emulated: they cost one round trip and no more.
    if (precheck?.kind === 'continue' && precheck.silent === true) {
      this.#notifier.continue()
      this.#recorder.countSilent(registered!.call.name)
      return
    }
    const {tid, number, arch} = this.#notifier
    const abi = abiOf(arch, number) ?? NATIVE_ABI
    const caller = new ThreadCaller(this.#context, tid, abi, this.#isValid)
    const name = registered?.call.name ?? syscallName(abi, number) ?? `syscall_0x${(number >>> 0).toString(16)}`
    const call: OneCall = {caller, name, values: undefined, performReason: ''}
    try {
      const performed = precheck === undefined ? this.#settle(registered, call) : unperformed(precheck)
      if (performed === undefined) return
      if (performed.kind === 'continue' && performed.silent === true) {
        caller.release()
        this.#send(performed)
        this.#recorder.countSilent(name)
        return
      }
      const recorder = this.#recorder
      const isTold = isWanted(recorder, performed)
      const told = isTold ? {identity: identityOf(caller), created: createdBy(performed)} : undefined
      // Before the answer: a descriptor of ours would keep what the caller unmounts next busy.
      caller.release()
      const sent = this.#send(performed)
      if (sent.arrived || OUTCOMES[performed.kind] === 'emulated') {
        const outcome = hasFailedToArrive(performed, sent) ? 'failed' : OUTCOMES[performed.kind]
        if (told === undefined) recorder.count({syscall: name, outcome, latencyUs: microsecondsSince(receivedMs)})
        else recorder.add(this.#decision(call, performed, sent, told, outcome, receivedMs))
      }
    } finally {
      caller.release()
    }
  }

  /** undefined where the caller was gone before anything was done. */
  #settle(registered: RegisteredCall | undefined, call: OneCall): Performed | undefined {
    const {caller} = call
    try {
      if (registered === undefined) return {kind: 'refuse', errno: ERRNO.ENOSYS, reason: 'nothing here knows this call'}
      if (caller.tid === 0)
        return {kind: 'refuse', errno: INTERNAL_ERRNO, reason: 'the caller is in no pid namespace of ours'}
      const unreadable = this.#decode(registered, call)
      if (unreadable !== undefined) return unreadable
      const verdict = registered.call.decide(call.values as Values<Arguments>, caller.facts, registered.policy)
      if (verdict.kind === 'refuse') return this.#inOrder(verdict, registered, call)
      if (verdict.kind !== 'perform') return verdict
      caller.beginPerformance(registered.call.actsAsCaller === true)
      call.performReason = verdict.reason
      return registered.call.perform(call.values as Values<Arguments>, caller, registered.state)
    } catch (error) {
      if (error instanceof CallerGone) return undefined
      // What the kernel said while we acted in the caller's place is what it would have said to the caller.
      if (isSystemError(error)) return {kind: 'failed', errno: error.errno, strategy: '', reason: KERNEL_ERROR}
      return {kind: 'failed', errno: INTERNAL_ERRNO, strategy: '', reason: `internal error: ${messageOf(error)}`}
    }
  }

  /** A call that is wrong in itself gets the errno that the kernel finds first, whether or not it would be allowed. */
  #inOrder(
    verdict: Extract<Verdict, {kind: 'refuse'}>,
    {call, state}: RegisteredCall,
    {caller, values}: OneCall,
  ): Performed {
    if (call.attemptWithoutPermission === undefined || verdict.errno !== ERRNO.EPERM) return verdict
    caller.beginPerformance(call.actsAsCaller === true)
    try {
      call.attemptWithoutPermission(values as Values<Arguments>, caller, state)
    } catch (error) {
      if (!isSystemError(error)) throw error
      if (error.errno !== ERRNO.EPERM) return {kind: 'failed', errno: error.errno, strategy: '', reason: KERNEL_ERROR}
    }
    return verdict
  }

  /** Reads the arguments once; what can't be read fails the call as it would in the kernel. */
  #decode(registered: RegisteredCall, call: OneCall): Performed | undefined {
    const {caller} = call
    const values: Record<string, unknown> = {}
    const declared = registered.call.arguments as Arguments
    for (const name in declared) {
      try {
        values[name] = declared[name]!.read(this.#registers, caller.memory, caller.abi)
      } catch (error) {
        if (!isSystemError(error)) throw error
        const reason = `${name} can't be read: ${errnoText(error.errno)}`
        return {kind: 'failed', errno: error.errno, strategy: '', reason}
      }
    }
    call.values = values
    return undefined
  }

  #send(answer: Performed): SentAnswer {
    const notifier = this.#notifier
    switch (answer.kind) {
      case 'continue':
        return {arrived: notifier.continue(), value: null, errno: null}
      case 'done':
        return {arrived: notifier.answer(answer.value), value: answer.value, errno: null}
      case 'descriptor':
        return this.#sendDescriptor(answer.fd, answer.closeOnExec)
      case 'replaced':
        return this.#replaceDescriptor(answer.fd, answer.at, answer.closeOnExec)
      case 'failed':
      case 'refuse':
        return {arrived: notifier.fail(answer.errno), value: -1, errno: answer.errno}
      default:
        answer satisfies never
        throw new Error('unknown answer')
    }
  }

  #sendDescriptor(fd: number, closeOnExec: boolean): SentAnswer {
    const notifier = this.#notifier
    try {
      let result = notifier.answerDescriptor(fd, closeOnExec)
      if (result === -ERRNO.EINVAL) {
        // Before 5.14 adding and answering are two steps.
        result = notifier.addDescriptor(fd, closeOnExec)
        if (result >= 0) return {arrived: notifier.answer(result), value: result, errno: null}
      }
      if (result >= 0) return {arrived: true, value: result, errno: null}
      if (result === -ERRNO.ENOENT) return {arrived: false, value: -1, errno: null}
      return {arrived: notifier.fail(-result), value: -1, errno: -result}
    } finally {
      closeQuietly(fd)
    }
  }

  #replaceDescriptor(fd: number, at: number, closeOnExec: boolean): SentAnswer {
    const notifier = this.#notifier
    const result = notifier.addDescriptor(fd, closeOnExec, at)
    // Before the answer: the caller may unmount next what it refers to.
    closeQuietly(fd)
    if (result >= 0) return {arrived: notifier.answer(0), value: 0, errno: null}
    if (result === -ERRNO.ENOENT) return {arrived: false, value: -1, errno: null}
    return {arrived: notifier.fail(-result), value: -1, errno: -result}
  }

  #decision(
    call: OneCall,
    performed: Performed,
    sent: SentAnswer,
    {identity, created}: Told,
    outcome: Outcome,
    receivedMs: number,
  ): Decision {
    const hasStrategy = 'strategy' in performed && performed.strategy !== ''
    const reason = hasFailedToArrive(performed, sent) ? KERNEL_ERROR : reasonOf(performed, call)
    return {
      timeMs: performance.timeOrigin + receivedMs,
      latencyUs: microsecondsSince(receivedMs),
      pid: identity.pid,
      tid: identity.tid,
      hostPid: identity.hostPid,
      uid: identity.uid,
      gid: identity.gid,
      comm: identity.comm,
      abi: call.caller.abi,
      syscall: call.name,
      values: call.values,
      registers: call.values === undefined ? this.#registers.all() : undefined,
      outcome,
      strategy: hasStrategy ? performed.strategy : null,
      result: sent.value,
      errno: sent.errno,
      reason: sent.arrived ? reason : `${reason}; the caller was gone before the answer`,
      hint: 'hint' in performed ? (performed.hint ?? null) : null,
      created,
    }
  }
}

/** Whether anybody may want to see it. */
function isWanted(recorder: Recorder, performed: Performed): boolean {
  // A descriptor may still fail to arrive.
  const mayFail = performed.kind === 'descriptor' || performed.kind === 'replaced'
  return (
    recorder.wants(OUTCOMES[performed.kind], 'created' in performed) || (mayFail && recorder.wants('failed', false))
  )
}

/** Adding a descriptor can fail in the caller alone (its limit): then nothing was emulated after all. */
function hasFailedToArrive({kind}: Performed, {errno}: SentAnswer): boolean {
  return (kind === 'descriptor' || kind === 'replaced') && errno !== null
}

/** What is read for the log alone. */
interface Told {
  readonly identity: Identity
  readonly created: ManifestEntry | undefined
}

/** Before the caller is released: the entry may need its descriptors. */
function createdBy(performed: Performed): ManifestEntry | undefined {
  const created = 'created' in performed ? performed.created : undefined
  return typeof created === 'function' ? created() : created
}

function microsecondsSince(timeMs: number): number {
  return (performance.now() - timeMs) * 1000
}

type Identity = Pick<Decision, 'comm' | 'gid' | 'hostPid' | 'pid' | 'tid' | 'uid'>

/** Of a caller that is gone. */
const NOBODY: Omit<Identity, 'hostPid'> = {pid: 0, tid: 0, uid: 0, gid: 0, comm: ''}

/** Read before the answer, after which the caller may be anything. Zeros where it is gone already. */
function identityOf(caller: ThreadCaller): Identity {
  try {
    const {containerTgid, containerTid, tgid, comm} = caller.credentials
    const {uid, gid} = caller.facts
    return {pid: containerTgid, tid: containerTid, hostPid: tgid, uid, gid, comm}
  } catch {
    return {...NOBODY, hostPid: caller.tid}
  }
}

function unperformed(verdict: Verdict): Performed {
  if (verdict.kind === 'perform') throw new Error('a verdict of precheck can refuse or continue, not perform')
  return verdict
}

function reasonOf(performed: Performed, call: OneCall): string {
  switch (performed.kind) {
    case 'continue':
    case 'refuse':
      return performed.reason
    case 'descriptor':
    case 'replaced':
      return call.performReason
    case 'done':
      return performed.reason ?? call.performReason
    case 'failed':
      return performed.reason ?? KERNEL_ERROR
    default:
      performed satisfies never
      return ''
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
