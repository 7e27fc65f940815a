// Builds native/test/filter-loader.c and asks the kernel what it makes of filters and calls.

import {execFileSync} from 'node:child_process'
import {mkdtempSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {fileURLToPath} from 'node:url'

export interface LoaderCall {
  readonly legacy: boolean
  readonly number: number
  readonly registers: readonly bigint[]
}

export interface LoaderCase {
  readonly bytes: Buffer
  readonly calls: readonly LoaderCall[]
}

export interface LoaderResult {
  /** 0, or the errno of seccomp(2). */
  readonly installed: number
  readonly results: readonly (number | 'died')[]
}

/** Path of the program; throws where there is no C compiler. */
export function buildLoader(): string {
  const source = fileURLToPath(new URL('../../native/test/filter-loader.c', import.meta.url))
  const program = join(mkdtempSync(join(tmpdir(), 'filter-loader-')), 'filter-loader')
  execFileSync('cc', ['-std=gnu11', '-O1', '-Wall', '-Wextra', '-Werror', '-o', program, source])
  return program
}

function encodeCase({bytes, calls}: LoaderCase): Buffer {
  const head = Buffer.alloc(4)
  head.writeUInt32LE(bytes.length / 8)
  const count = Buffer.alloc(4)
  count.writeUInt32LE(calls.length)
  const body = calls.map(({legacy, number, registers}) => {
    const call = Buffer.alloc(56)
    call.writeUInt32LE(legacy ? 1 : 0, 0)
    call.writeUInt32LE(number >>> 0, 4)
    for (let index = 0; index < 6; index++) call.writeBigUInt64LE(registers[index] ?? 0n, 8 + 8 * index)
    return call
  })
  return Buffer.concat([head, bytes, count, ...body])
}

export function askKernel(program: string, cases: readonly LoaderCase[]): LoaderResult[] {
  const output = execFileSync(program, {input: Buffer.concat(cases.map(encodeCase)), maxBuffer: 64 << 20})
  const lines = output.toString('latin1').trimEnd().split('\n')
  return lines.map((line) => {
    const [installed, ...results] = line.split(' ')
    return {installed: Number(installed), results: results.map((word) => (word === 'died' ? word : Number(word)))}
  })
}
