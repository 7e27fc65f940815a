// Runs native/test/file-calls.c in a container that may make the default devices, and compares what it printed.

import assert from 'node:assert/strict'

import {DEFAULT_DEVICES} from '../../src/kernel/device-numbers.js'
import type {FilesystemStep} from '../../src/container/plan.js'
import type {Decision} from '../../src/intercept/decision.js'
import {buildTestProgram, runIntercepted} from './intercepted.js'

/** Arguments of its mknod: mode, major, minor. */
export const NULL = '020666:1:3'
export const ZERO = '020640:1:5'

export interface Outcome {
  /** What each word of the program printed, without the word. */
  readonly answers: readonly string[]
  readonly decisions: readonly Decision[]
  readonly directory: string
}

interface Preparation {
  readonly prepare?: (directory: string) => void
  readonly steps?: readonly FilesystemStep[]
}

export interface ContainerCalls {
  readonly inContainer: (words: readonly string[], preparation?: Preparation) => Promise<Outcome>
  /** The same, compared with what is expected of each word. */
  readonly expects: (cases: readonly (readonly [string, number | string])[]) => Promise<Outcome>
}

export function callsInContainers(makeDirectory: () => string): ContainerCalls {
  async function inContainer(words: readonly string[], {prepare, steps = []}: Preparation = {}): Promise<Outcome> {
    const directory = makeDirectory()
    prepare?.(directory)
    const program = buildTestProgram('file-calls', directory)
    const run = await runIntercepted(directory, [program, ...words], {mknod: {devices: DEFAULT_DEVICES}}, {}, steps)
    assert.deepEqual(run.end, {kind: 'exited', status: 0}, run.output)
    return {answers: answersIn(run.output), decisions: run.decisions, directory}
  }

  return {
    inContainer,
    async expects(cases) {
      const outcome = await inContainer(cases.map(([word]) => word))
      assert.deepEqual(
        cases.map(([word], index) => [word, outcome.answers[index]]),
        cases.map(([word, answer]) => [word, String(answer)]),
      )
      return outcome
    },
  }
}

export function answersIn(output: string): string[] {
  return output
    .trimEnd()
    .split('\n')
    .map((line) => line.slice(line.indexOf(' ') + 1))
}
