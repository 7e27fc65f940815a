// The programmatic entry, used by a program of somebody else for a container that yet another one made.

import assert from 'node:assert/strict'
import {chmodSync, chownSync, mkdirSync, statSync} from 'node:fs'
import {join} from 'node:path'

import {PROJECT, program, programIn, succeed} from '../../helpers/program.js'
import {skipUnlessPrivileged, skipUnlessPrograms} from '../../helpers/skip.js'
import {temporaryDirectories} from '../../helpers/temporary.js'

const FIXTURES = join(PROJECT, 'test', 'fixtures', 'api')
const SUPERVISE = join(FIXTURES, 'supervise.mjs')
const ROOT_OF_CONTAINER = 100_000

describe('supervise', () => {
  skipUnlessPrivileged()
  skipUnlessPrograms('python3')
  const temporary = temporaryDirectories()

  it('answers the calls of a container that another program made', () => {
    const top = temporary()
    chmodSync(top, 0o711)
    const cwd = join(top, 'work')
    mkdirSync(cwd)
    chownSync(cwd, ROOT_OF_CONTAINER, ROOT_OF_CONTAINER)
    const filter = join(top, 'filter')
    succeed({}, process.execPath, SUPERVISE, 'filter', filter)
    chmodSync(filter, 0o644)
    const words = [join(FIXTURES, 'container.py'), filter, process.execPath, SUPERVISE]
    const {stdout, stderr, status} = programIn({cwd}, 'python3', ...words)
    assert.equal(stderr, '')
    assert.equal(status, 0)
    assert.deepEqual(stdout.trim().split('\n').sort(), [
      'mknodat emulated null',
      'mknodat refused 1',
      'null made',
      'sda Operation not permitted',
    ])
    const {rdev, uid} = statSync(join(cwd, 'null'))
    assert.deepEqual({rdev, uid}, {rdev: 0x103, uid: ROOT_OF_CONTAINER})
  })

  it('says what is wrong with a policy or a process', () => {
    const script = `
      import {readPolicy, supervise} from 'interceptor'
      for (const keys of [{mknodd: true}, {mknod: 3}, {handler: ['x.js']}]) await readPolicy(keys).catch(({message}) => console.log(message))
      await supervise({listener: 0, container: 4194305, policy: {}}).catch(({code}) => console.log(code))`
    const {stdout, stderr} = program(process.execPath, '--input-type=module', '--eval', script)
    assert.equal(stderr, '')
    assert.deepEqual(stdout.trim().split('\n'), [
      'policy:1: unknown key "mknodd"',
      'policy:1: mknod must be true or false',
      'policy:1: unknown key "handler"',
      'ENOENT',
    ])
  })
})
