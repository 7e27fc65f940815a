// Runs native/test/raw-calls.c in a container and, for the kernel's own answers, outside as root.

import assert from 'node:assert/strict'
import {execFileSync, spawnSync} from 'node:child_process'
import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'

import type {Abi} from '../../src/kernel/abi.js'
import type {FilesystemStep} from '../../src/container/plan.js'
import type {Decision} from '../../src/intercept/decision.js'
import type {Policy} from '../../src/intercept/policy.js'
import {syscallNumber} from '../../src/kernel/calls/index.js'
import {buildTestProgram, runIntercepted} from './intercepted.js'
import {skipTestUnless} from './skip.js'

/** What one static program can call on this machine. */
export const CALLABLE_ABIS: readonly Abi[] = process.arch === 'x64' ? ['x86_64', 'i386'] : ['aarch64']

const GETPID_I386 = 20
let hasInt80: boolean | undefined

/** int 0x80 is a fault where the kernel or the virtual machine has no 32-bit entry. */
export function canCall(abi: Abi): boolean {
  if (abi !== 'i386') return true
  if (hasInt80 !== undefined) return hasInt80
  const directory = mkdtempSync(join(tmpdir(), 'raw-calls-'))
  try {
    buildTestProgram('raw-calls', directory)
    hasInt80 = spawnSync(join(directory, 'raw-calls'), [`i386|${GETPID_I386}`]).status === 0
  } finally {
    rmSync(directory, {recursive: true, force: true})
  }
  return hasInt80
}

export const NO_INT80 = 'int 0x80 is a fault on this machine'

/** A test for each ABI of the machine. */
export function itOnEachAbi(title: string, body: (abi: Abi, context: Mocha.Context) => Promise<void>): void {
  for (const abi of CALLABLE_ABIS) {
    it(`${title} (${abi})`, async function () {
      skipTestUnless(this, canCall(abi), NO_INT80)
      await body(abi, this)
    })
  }
}

/** One word for the program. Numbers are registers; see there for what texts mean. */
export function word(abi: Abi, name: string, ...values: readonly (bigint | number | string)[]): string {
  const number = syscallNumber(abi, name)
  if (number === undefined) throw new Error(`${abi} has no ${name}`)
  return [abi, number, ...values].join('|')
}

export interface RawOutcome {
  /** What each word printed after its first word: the result, and buffers in hex. */
  readonly answers: readonly string[]
  readonly decisions: readonly Decision[]
  readonly silent: Readonly<Record<string, number>>
  readonly directory: string
}

export interface RawPreparation {
  readonly prepare?: (directory: string) => void
  readonly steps?: readonly FilesystemStep[]
}

export async function inContainer(
  directory: string,
  words: readonly string[],
  policy: Policy,
  {prepare, steps = []}: RawPreparation = {},
): Promise<RawOutcome> {
  prepare?.(directory)
  const program = buildTestProgram('raw-calls', directory)
  const {end, output, decisions, silent} = await runIntercepted(directory, [program, ...words], policy, {}, steps)
  assert.deepEqual(end, {kind: 'exited', status: 0}, output)
  return {answers: answersIn(output), decisions, silent, directory}
}

/** As the user who runs the tests, without a container. */
export function outside(
  directory: string,
  words: readonly string[],
  {prepare}: RawPreparation = {},
): readonly string[] {
  prepare?.(directory)
  buildTestProgram('raw-calls', directory)
  return answersIn(execFileSync(join(directory, 'raw-calls'), words, {cwd: directory, encoding: 'utf8'}))
}

/** Each word with its answer, so that a difference shows what it is about. */
export function paired(words: readonly string[], answers: readonly string[]): readonly string[] {
  return words.map((own, index) => `${own.length > 200 ? `${own.slice(0, 200)}...` : own} = ${answers[index] ?? ''}`)
}

function answersIn(output: string): readonly string[] {
  return output
    .trimEnd()
    .split('\n')
    .map((line) => line.slice(line.indexOf(' ') + 1))
}
