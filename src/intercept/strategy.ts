// How a failed operation is told: with the errno of the system call that failed, and what was tried.

import {SystemError} from '../ffi/errors.js'
import type {Performed} from './family.js'

/** What `action` did, or the errno of the system call that failed in it, as the failure of `strategy`. */
export function asStrategy(strategy: string, action: () => Performed): Performed {
  try {
    return action()
  } catch (error) {
    if (error instanceof SystemError) return {kind: 'failed', errno: error.errno, strategy}
    throw error
  }
}
