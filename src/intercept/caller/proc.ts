// The host's /proc as a descriptor: paths below it are found whoever's ids this thread wears, and are shorter to walk.

import {openat} from '../../ffi/libc.js'
import {AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_PATH} from '../../kernel/constants.js'

let opened: number | undefined

/** Stays open for as long as the thread lives; its first use is when the thread still has its own ids. */
export function procDirectory(): number {
  return (opened ??= openat(AT_FDCWD, '/proc', O_PATH | O_DIRECTORY | O_CLOEXEC, 0))
}
