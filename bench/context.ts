// What one figure holds while it runs: directories, processes, and how all of it is undone.

import {chmodSync, mkdtempSync, rmSync} from 'node:fs'

import type {Context} from './figure.js'

/** /var/tmp and not /tmp: a container has a /tmp of its own, and this is an ordinary file system. */
const SCRATCH = '/var/tmp/interceptor-bench-'
const QUICK_SHARE = 5
const ROUNDS_MIN = 3

export class FigureContext implements Context {
  readonly isQuick: boolean
  readonly signal: AbortSignal
  readonly say: (text: string) => void
  /** Parts of the figure that were left out, each with the reason. */
  readonly leftOut: string[] = []
  readonly #undo: (() => Promise<void> | void)[] = []

  constructor(isQuick: boolean, signal: AbortSignal, say: (text: string) => void) {
    this.isQuick = isQuick
    this.signal = signal
    this.say = say
  }

  rounds(full: number): number {
    return this.isQuick ? Math.max(ROUNDS_MIN, Math.ceil(full / QUICK_SHARE)) : full
  }

  directory(): string {
    const directory = mkdtempSync(SCRATCH)
    // Containers with other ids than ours work here too.
    chmodSync(directory, 0o777)
    this.defer(() => rmSync(directory, {recursive: true, force: true}))
    return directory
  }

  defer(undo: () => Promise<void> | void): void {
    this.#undo.push(undo)
  }

  leaveOut(part: string, reason: string): void {
    this.leftOut.push(`${part}: ${reason}`)
  }

  /** All of it is undone, also where one step fails; the first failure is thrown. */
  async close(): Promise<void> {
    const failures: unknown[] = []
    for (let undo = this.#undo.pop(); undo !== undefined; undo = this.#undo.pop()) {
      try {
        await undo()
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
  }
}
