// What interceptor does to its own process: dying of a signal as the command did.

import {declare, declareRaw} from './declare.js'

const RLIMIT_CORE = 4
const PR_SET_DUMPABLE = 4
const SIG_DFL = 0
const SIG_UNBLOCK = 1

/** Ends this process at once, with nothing flushed and no thread waited for (_exit(2)). */
export function exitNow(status: number): never {
  declareRaw('_exit', ['int'])(status)
  throw new Error('_exit returned')
}

/**
 * Ends this process with `signal`, without a core file of ours. Returns where the signal does not end a process: the
 * kernel drops default actions for PID 1 of a pid namespace (pid_namespaces(7)), and a few signals are no death.
 */
export function dieOfSignal(signal: number): void {
  declare('setrlimit', ['int', 'buffer'])(RLIMIT_CORE, Buffer.alloc(16))
  // A core pattern that is a pipe disregards the limit; core(5).
  declare('prctl', ['int', 'ulong', 'ulong', 'ulong', 'ulong'])(PR_SET_DUMPABLE, 0, 0, 0, 0)
  declareRaw('signal', ['int', 'address'])(signal, SIG_DFL)
  const set = Buffer.alloc(128)
  const bit = signal - 1
  set[bit >> 3] = 1 << (bit & 7)
  declareRaw('pthread_sigmask', ['int', 'buffer', 'buffer'])(SIG_UNBLOCK, set, null)
  declare('kill', ['int', 'int'])(process.pid, signal)
}
