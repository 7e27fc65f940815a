// Bounds what programs a container can have us load: their memory is charged to the supervisor, not to the container.

import {SystemError, isSystemError} from '../../../ffi/errors.js'
import {ERRNO} from '../../../kernel/errno.js'

/** Programs that live at the same time, and the sum of their instructions. runc and systemd need one for each cgroup. */
const PROGRAMS_MAX = 1024
const INSTRUCTIONS_MAX = 1_000_000

export class ProgramBudget {
  readonly #isAlive: (id: number) => boolean
  readonly #sizes = new Map<number, number>()
  #instructions = 0

  constructor(isAlive: (id: number) => boolean) {
    this.#isAlive = isAlive
  }

  /** Throws ENOMEM where one more program of this size would be too many. Dead ones are only looked for then. */
  reserve(instructions: number): void {
    if (this.#fits(instructions)) return
    for (const [id, size] of this.#sizes) {
      if (this.#isAlive(id)) continue
      this.#sizes.delete(id)
      this.#instructions -= size
    }
    if (!this.#fits(instructions)) throw new SystemError('bpf', ERRNO.ENOMEM)
  }

  add(id: number, instructions: number): void {
    this.#sizes.set(id, instructions)
    this.#instructions += instructions
  }

  #fits(instructions: number): boolean {
    return this.#sizes.size < PROGRAMS_MAX && this.#instructions + instructions <= INSTRUCTIONS_MAX
  }
}

/** Whether something can still be opened: only ENOENT says that it is gone. */
export function isThere(open: () => void): boolean {
  try {
    open()
    return true
  } catch (error) {
    return !isSystemError(error, ERRNO.ENOENT)
  }
}
