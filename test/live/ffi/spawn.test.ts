// Children by posix_spawn(3): what they get, and what is left of it here.

import assert from 'node:assert/strict'
import {closeSync, openSync, readFileSync, readdirSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {isSystemError} from '../../../src/ffi/errors.js'
import {spawn, waitFor} from '../../../src/ffi/spawn.js'
import {temporaryDirectories} from '../../helpers/temporary.js'

describe('spawn', () => {
  const directories = temporaryDirectories()

  it('throws where there is no such program, and leaves no descriptor', () => {
    const before = readdirSync('/proc/self/fd')
    assert.throws(
      () => spawn('/no/such/program', ['x'], [0, 1, 2]),
      (error) => isSystemError(error, 2),
    )
    assert.deepEqual(readdirSync('/proc/self/fd'), before)
  })

  it('gives each descriptor its place, also where places are taken by others', () => {
    const directory = directories()
    const names = ['out', 'a', 'b', 'c']
    for (const name of names) writeFileSync(join(directory, name), name)
    const [out, ...files] = names.map((name) => openSync(join(directory, name), 'r+')) as [
      number,
      number,
      number,
      number,
    ]
    try {
      // Turned round, so that each would cover the next one if they were put in their places one after the other.
      const [a, b, c] = files
      const list = 'for n in 3 4 5; do readlink /proc/self/fd/$n; done; ls -l /proc/self/fd | grep -c -- "-> $0/"; env'
      const pid = spawn('/bin/sh', ['sh', '-c', list, directory], [0, out, 2, c, b, a])
      assert.equal(waitFor(pid), 0)
      const [third, fourth, fifth, ours, ...environment] = readFileSync(join(directory, 'out'), 'utf8')
        .trim()
        .split('\n')
      assert.deepEqual(
        [third, fourth, fifth],
        ['c', 'b', 'a'].map((name) => join(directory, name)),
      )
      // Standard output is a pipe there.
      assert.equal(ours, '3')
      assert.deepEqual(
        environment.filter((line) => !/^(?:PWD|SHLVL|_|OLDPWD)=/.test(line)),
        [],
      )
    } finally {
      for (const fd of [out, ...files]) closeSync(fd)
    }
  })

  it('tells how the child ended', () => {
    assert.equal(waitFor(spawn('/bin/sh', ['sh', '-c', 'exit 7'], [0, 1, 2])), 7 << 8)
    assert.equal(waitFor(spawn('/bin/sh', ['sh', '-c', 'kill -TERM $$'], [0, 1, 2])), 15)
  })

  it('gives the child default signals, none of them blocked', () => {
    const file = join(directories(), 'status')
    const out = openSync(file, 'w')
    // Node itself ignores SIGPIPE.
    waitFor(spawn('/bin/grep', ['grep', '^Sig[BI]', '/proc/self/status'], [0, out, 2]))
    closeSync(out)
    const masks = readFileSync(file, 'utf8')
      .trim()
      .split('\n')
      .map((line) => line.split('\t')[1])
    assert.deepEqual(masks, ['0000000000000000', '0000000000000000'])
  })
})
