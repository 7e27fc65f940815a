// The end of acting as somebody else, or somewhere else, on a thread that goes on to serve other callers.

import {abort} from '../../ffi/libc.js'

/**
 * Runs the steps by which this thread becomes itself again. One that keeps rights, a root or a namespace of somebody else
 * would lend them to the next caller: where a step fails, nothing may go on, and the whole process ends at once.
 *
 * @param what that would be kept, for the last words
 */
export function giveBack(what: string, steps: () => void): void {
  try {
    steps()
  } catch (error) {
    abort(`cannot give back ${what}: ${String(error)}; ending at once`)
  }
}
