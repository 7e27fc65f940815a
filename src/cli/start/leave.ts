// Ends as the command ended: with its status, or by the same signal, so that a caller can't tell us from it.

import type {RunEnd} from '../../container/run-options.js'
import {dieOfSignal, exitNow} from '../../ffi/self.js'

/**
 * Everything must have been written. We go without Node's farewell: process.exit() waits for worker threads, and one
 * may be in a call that a stalled file system never ends.
 */
export async function leave(end: RunEnd): Promise<never> {
  if (end.kind === 'exited') return exitNow(end.status)
  dieOfSignal(end.signal)
  // Another thread may take the signal a moment later; where it does not kill, the shell's convention remains.
  await new Promise((resolve) => setTimeout(resolve, 50))
  return exitNow(128 + end.signal)
}
