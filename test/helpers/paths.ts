// Drawn paths, of which the kernel says where they lead and the supervisor must say the same.

import assert from 'node:assert/strict'
import {copyFileSync} from 'node:fs'
import {join} from 'node:path'

import {PROJECT, interceptorIn} from './program.js'

/** In a describe callback. INTERCEPTOR_SEED draws others, INTERCEPTOR_PATHS says how many. */
export function itFindsPaths(directory: () => string): void {
  const seed = Number(process.env['INTERCEPTOR_SEED'] ?? '20261127') >>> 0
  const draws = Number(process.env['INTERCEPTOR_PATHS'] ?? '3000')
  it(`makes nodes where the kernel would, or with its errno (seed ${seed})`, function () {
    this.timeout(60_000 + draws * 20)
    const cwd = directory()
    copyFileSync(join(PROJECT, 'test', 'fixtures', 'paths', 'paths.py'), join(cwd, 'paths.py'))
    const words = ['run', '--trace', 'none', '--mknod', '--', 'python3', '-I', 'paths.py', String(seed), String(draws)]
    const {stdout, stderr} = interceptorIn({cwd, timeoutMs: 60_000 + draws * 20}, ...words)
    assert.match(stdout, /^done$/mu, stdout + stderr)
    assert.deepEqual(stdout.match(/^difference: .*$/gmu) ?? [], [])
    // It was no empty exercise.
    for (const [answer, least] of [
      ['0', 50],
      ['ENOENT', 50],
      ['EEXIST', 20],
      ['ENOTDIR', 20],
      ['EACCES', 10],
      ['ELOOP', 1],
      ['ENAMETOOLONG', 1],
    ] as const) {
      const counted = [...stdout.matchAll(new RegExp(`\\b${answer}=(\\d+)`, 'gu'))].map(([, number]) => Number(number))
      const sum = counted.reduce((total, number) => total + number, 0)
      assert.ok(sum >= least, `${answer}: ${sum}`)
    }
  })
}
