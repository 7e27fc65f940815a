// Completion as the shells read it.

import assert from 'node:assert/strict'
import {existsSync, mkdirSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import type {CommandName} from '../../../src/flag.js'
import {flagsOf} from '../../../src/cli/flags/index.js'
import {COMMANDS} from '../../../src/commands/index.js'
import {bashCompletion, fishCompletion, zshCompletion} from '../../../src/manual/completion.js'
import {hasProgram, program, programIn} from '../../helpers/program.js'
import {skipTestUnless} from '../../helpers/skip.js'
import {temporaryDirectories} from '../../helpers/temporary.js'

const names = Object.keys(COMMANDS) as CommandName[]

/** Only what the shell needs to split a line as readline does: blanks, and the signs of COMP_WORDBREAKS. */
const DRIVER = `
source "$1"; shift
cd "$1"; shift
COMP_WORDS=("$@")
COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
_interceptor interceptor "\${COMP_WORDS[COMP_CWORD]}" "\${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "\${COMPREPLY[@]}"
`

describe('completion in bash', () => {
  const directory = temporaryDirectories()
  let script: string
  let work: string

  before(function () {
    skipTestUnless(this, hasProgram('bash'), 'bash not installed')
    script = join(directory(), 'interceptor.bash')
    writeFileSync(script, bashCompletion(COMMANDS))
    work = directory()
    mkdirSync(join(work, 'rootfs'))
    writeFileSync(join(work, 'build.trace'), '')
  })

  function driver(env: Readonly<Record<string, string>>, ...words: string[]): string[] {
    // Without what this machine's bash would read first.
    const ended = programIn({env: {BASH_ENV: undefined, ...env}}, 'bash', '-c', DRIVER, 'bash', script, work, ...words)
    assert.equal(ended.stderr, '')
    return ended.stdout.split('\n')
  }

  /** What is offered for the last of the words. */
  function complete(...words: string[]): string[] {
    return driver({}, 'interceptor', ...words).filter((line) => line !== '')
  }

  it('offers the commands', () => {
    assert.deepEqual(
      names.filter((name) => !complete('').includes(name)),
      [],
    )
    assert.deepEqual(complete('ru'), ['run'])
    assert.deepEqual(complete('help', 'exp'), ['explain'])
  })

  it('offers exactly the flags of a command', () => {
    for (const name of names) {
      const expected = [...flagsOf(name).map((flag) => `--${flag.name}`), '--help']
      assert.deepEqual(complete(name, '--').sort(), expected.sort(), name)
    }
    assert.deepEqual(complete('run', '--mknod', '--memo'), ['--memory'])
  })

  it('offers the values of a flag, in both ways to write it', () => {
    assert.deepEqual(complete('run', '--trace', ''), ['all', 'refused', 'none'])
    assert.deepEqual(complete('run', '--trace', '=', 're'), ['refused'])
    assert.deepEqual(complete('run', '--trace', '='), ['all', 'refused', 'none'])
  })

  it('offers files and directories where a flag takes them', () => {
    assert.deepEqual(complete('explain', '--strace', '').sort(), ['build.trace', 'rootfs'])
    assert.deepEqual(complete('run', '--rootfs', ''), ['rootfs'])
  })

  it('offers nothing where only the user can know', () => {
    assert.deepEqual(complete('run', '--memory', ''), [])
  })

  it('leaves the words of the command to the command', () => {
    for (const before of [
      ['run', '--mknod', 'cat'],
      ['run', '--memory', '1G', '--', 'cat'],
      ['run', '--memory', '=', '1G', 'cat'],
      ['exec', '--user', '5', 'name', 'cat'],
      ['exec', 'name', '--', 'cat'],
    ]) {
      assert.deepEqual(complete(...before, 'build'), ['build.trace'], before.join(' '))
      assert.deepEqual(complete(...before, '--mkno'), [], before.join(' '))
    }
  })

  it('offers containers that run, and expands nothing of their names', () => {
    const runtime = directory()
    mkdirSync(join(runtime, 'interceptor'))
    for (const name of ['build', 'x$(touch made)']) writeFileSync(join(runtime, 'interceptor', `${name}.json`), '{}')
    const offered = (word: string): string[] => {
      return driver({XDG_RUNTIME_DIR: runtime}, 'interceptor', 'exec', word)
    }
    assert.ok(offered('bui').includes('build'))
    assert.ok(offered('x').includes('x$(touch made)'))
    assert.ok(!existsSync(join(work, 'made')))
  })

  it('offers programs where the command begins', () => {
    assert.ok(complete('run', '--mknod', 'bas').includes('bash'))
    assert.ok(complete('run', '--', 'bas').includes('bash'))
    assert.ok(complete('exec', 'name', 'bas').includes('bash'))
  })
})

describe('completion in zsh and fish', () => {
  const directory = temporaryDirectories()

  it('is read by zsh', function () {
    skipTestUnless(this, hasProgram('zsh'), 'zsh not installed')
    const {status, stderr} = programIn({input: zshCompletion(COMMANDS)}, 'zsh', '-fn')
    assert.deepEqual([status, stderr], [0, ''])
  })

  it('is read by fish', function () {
    skipTestUnless(this, hasProgram('fish'), 'fish not installed')
    const file = join(directory(), 'interceptor.fish')
    writeFileSync(file, fishCompletion(COMMANDS))
    const {status, stderr} = program('fish', '--no-execute', file)
    assert.deepEqual([status, stderr], [0, ''])
  })
})
