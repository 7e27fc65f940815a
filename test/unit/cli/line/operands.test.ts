import assert from 'node:assert/strict'

import {asTyped, choice} from '../../../../src/flag.js'
import type {Flag} from '../../../../src/flag.js'
import {parseLine} from '../../../../src/cli/line/operands.js'
import {UsageError} from '../../../../src/errors.js'

const common = {group: 'Output', commands: ['run'], summary: '', description: ''} as const
const flags: readonly Flag[] = [
  {...common, name: 'quiet', char: 'q', kind: 'switch'},
  {...common, name: 'verbose', char: 'v', kind: 'switch'},
  {...common, name: 'mknod', kind: 'switch'},
  {...common, name: 'name', char: 'n', kind: 'value', placeholder: 'NAME', parse: asTyped},
  {...common, name: 'format', kind: 'value', placeholder: 'FORMAT', ...choice('text', 'json')},
  {...common, name: 'bind', kind: 'list', placeholder: 'SRC', parse: asTyped},
  {...common, name: 'types', kind: 'list', separator: ',', placeholder: 'TYPE', parse: asTyped},
]

function words(line: string): readonly string[] {
  return line === '' ? [] : line.split(' ')
}

describe('parseLine', () => {
  for (const [line, values, operands] of [
    ['a --mknod b', {mknod: true}, ['a', 'b']],
    ['--name x a -q', {name: 'x', quiet: true}, ['a']],
    ['a -- --mknod b', {}, ['a', '--mknod', 'b']],
    ['- --mknod', {mknod: true}, ['-']],
    ['a --bind x --bind y', {bind: ['x', 'y']}, ['a']],
  ] as const) {
    it(`takes operands of explain anywhere: ${line}`, () => {
      assert.deepEqual(parseLine(words(line), 'explain', flags), {values, operands, help: false})
    })
  }

  const good: readonly [string, Record<string, unknown>, string][] = [
    ['', {}, ''],
    ['ls -la', {}, 'ls -la'],
    ['-q grep -q foo', {quiet: true}, 'grep -q foo'],
    ['-q grep -q foo -- bar', {quiet: true}, 'grep -q foo -- bar'],
    ['ls --help', {}, 'ls --help'],
    ['-- --mknod', {}, '--mknod'],
    ['--mknod -- -x -- -y', {mknod: true}, '-x -- -y'],
    ['-- echo a b a c a', {}, 'echo a b a c a'],
    ['--name x ls', {name: 'x'}, 'ls'],
    ['--name=x=y ls', {name: 'x=y'}, 'ls'],
    ['--name= ls', {name: ''}, 'ls'],
    ['-nx ls', {name: 'x'}, 'ls'],
    ['-n=x ls', {name: 'x'}, 'ls'],
    ['-n x ls', {name: 'x'}, 'ls'],
    ['-qvnx ls', {quiet: true, verbose: true, name: 'x'}, 'ls'],
    ['-q -q ls', {quiet: true}, 'ls'],
    ['--bind a --bind=b ls', {bind: ['a', 'b']}, 'ls'],
    ['--types a,b --types c ls', {types: ['a', 'b', 'c']}, 'ls'],
    ['--name -- ls', {name: '--'}, 'ls'],
    ['- x', {}, '- x'],
    ['--format json ls', {format: 'json'}, 'ls'],
  ]
  for (const [line, values, operands] of good) {
    it(`reads "${line}"`, () => {
      assert.deepEqual(parseLine(words(line), 'run', flags), {values, operands: words(operands), help: false})
    })
  }

  it('sees help only among our flags', () => {
    assert.equal(parseLine(['--mknod', '-h', 'ls'], 'run', flags).help, true)
    assert.equal(parseLine(['--', '--help'], 'run', flags).help, false)
  })

  const wrong: readonly [string, string, readonly string[]][] = [
    ['--mkond ls', 'unknown flag --mkond', ['did you mean --mknod?']],
    ['--mkond=1 ls', 'unknown flag --mkond', ['did you mean --mknod?']],
    ['--zzzzzz ls', 'unknown flag --zzzzzz', ['see interceptor run --help']],
    ['-x ls', 'unknown flag -x', ['see interceptor run --help']],
    ['-mknod ls', 'unknown flag -mknod', ['did you mean --mknod?']],
    ['--name', '--name needs a value: NAME', []],
    ['--name --mknod ls', '--name needs a value: NAME', []],
    ['-n -q ls', '-n needs a value: NAME', []],
    ['--mknod=yes ls', '--mknod takes no value', []],
    ['--name a --name b ls', '--name can be given only once', []],
    ['--format jsn ls', '--format takes text or json, not "jsn"', ['did you mean --format json?']],
  ]
  for (const [line, message, hints] of wrong) {
    it(`refuses "${line}"`, () => {
      assert.throws(
        () => parseLine(words(line), 'run', flags),
        (error) => {
          assert.ok(error instanceof UsageError)
          assert.deepEqual([error.message, error.hints], [message, hints])
          return true
        },
      )
    })
  }
})
