import assert from 'node:assert/strict'
import {spawnSync} from 'node:child_process'
import {cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {stackOfSources} from '../../../src/cli/text/stack.js'
import {INTERCEPTOR, PROJECT, programIn, succeed} from '../../helpers/program.js'
import {temporaryDirectories} from '../../helpers/temporary.js'

const BUNDLES = ['enter', 'main', 'run', 'worker'] as const

describe('starting', () => {
  const directories = temporaryDirectories()
  for (const name of BUNDLES)
    it(`takes the code of ${name} that was kept by the build`, () => {
      // In a fresh process: V8 goes by its flags, which supervisors that other tests have started here may have changed.
      const script =
        'process.stdout.write(String(require(process.argv[1]).compile(process.argv[2]).script.cachedDataRejected))'
      assert.equal(succeed({}, process.execPath, '-e', script, join(PROJECT, 'bin', 'load.js'), name), 'false')
    })

  it('tells of a bug in the places of the sources', () => {
    const message = 'cannot start the native helper'
    const source = readFileSync(join(PROJECT, 'src/container/launch/index.ts'), 'utf8').split('\n')
    for (const name of ['main', 'run']) {
      const file = join(PROJECT, 'dist', `${name}.js`)
      const lines = readFileSync(file, 'utf8').split('\n')
      const line = lines.findIndex((each) => each.includes(message))
      const column = (lines[line]?.indexOf(message) ?? 0) + 1
      const told = stackOfSources(`    at aB (interceptor:${name}.js:${line + 1}:${column})`, join(PROJECT, 'dist/'))
      const [, number] = /^ {4}at aB \(src\/container\/launch\/index\.ts:(\d+):\d+\)$/.exec(told) ?? []
      assert.ok(source[Number(number) - 1]?.includes(message), told)
    }
  })

  it('has the same places wherever the package lies', () => {
    // Kept code names the place where it was kept; a bug is provoked in a copy.
    const copy = join(directories(), 'sp ace')
    mkdirSync(copy)
    for (const part of ['bin', 'dist', 'native', 'package.json'])
      cpSync(join(PROJECT, part), join(copy, part), {recursive: true})
    symlinkSync(join(PROJECT, 'node_modules'), join(copy, 'node_modules'))
    const bug = "process.cwd = () => { throw new TypeError('on purpose') }"
    writeFileSync(join(copy, 'bug.cjs'), bug)
    const {status, stderr} = programIn(
      {},
      process.execPath,
      '-r',
      join(copy, 'bug.cjs'),
      join(copy, 'bin/run.js'),
      'run',
      'true',
    )
    assert.match(stderr, /internal error[^]*on purpose[^]*\(src\/cli\/line\/configuration\.ts:\d+:\d+\)/u)
    assert.equal(status, 70)
  })

  it('leaves a place alone that no map tells of', () => {
    const stack = 'Error: x\n    at a (interceptor:none.js:1:2)\n    at b (node:fs:3:4)\n    at c (/x/run.js:5:6)'
    assert.equal(stackOfSources(stack, join(PROJECT, 'dist/')), stack)
  })

  it('goes without it where V8 has other flags', () => {
    const {status, stdout, stderr} = spawnSync(process.execPath, ['--stack-size=900', INTERCEPTOR, 'run', '--help'], {
      encoding: 'utf8',
    })
    assert.equal(stderr, '')
    assert.match(stdout, /^Run a command/m)
    assert.equal(status, 0)
  })
})
