// Node itself makes no FIFO.

import {mknodat} from '../../src/ffi/libc.js'
import {AT_FDCWD} from '../../src/kernel/constants.js'

const S_IFIFO = 0o010_000

export function makeFifo(path: string): void {
  mknodat(AT_FDCWD, path, S_IFIFO | 0o644, 0)
}
