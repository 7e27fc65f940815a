// Ends as the command ended: with its status, or by the same signal, so that a caller can't tell us from it.

import type {RunEnd} from '../container/run-options.js'

/** Everything must have been written. */
export async function leave(end: RunEnd): Promise<never> {
  if (end.kind === 'exited') process.exit(end.status)
  const {dieOfSignal} = await import('../ffi/self.js')
  dieOfSignal(end.signal)
  // Another thread may take the signal a moment later; where it does not kill, the shell's convention remains.
  await new Promise((resolve) => setTimeout(resolve, 50))
  process.exit(128 + end.signal)
}
