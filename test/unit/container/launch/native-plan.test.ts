// What TypeScript and C must agree on, the encoding of plans, the search for commands, and the words of failures.

import assert from 'node:assert/strict'
import {readFileSync} from 'node:fs'
import {join} from 'node:path'

import {MESSAGES} from '../../../../src/container/launch/channel.js'
import {STAGES, launchFailure} from '../../../../src/container/launch/failure.js'
import {commandCandidates, encodePlan} from '../../../../src/container/launch/native-plan.js'
import {bytes, planOf} from '../../../helpers/launch-plan.js'
import {PROJECT} from '../../../helpers/program.js'

const header = readFileSync(join(PROJECT, 'native/interceptor-init.h'), 'utf8')

/** Members of an enum in the header, in the spelling of TypeScript's tables. */
function members(name: string, prefix: string): readonly string[] {
  const body = new RegExp(`enum ${name} \\{([^}]*)\\}`, 'u').exec(header)?.[1] ?? ''
  return [...body.replace(/\/\*.*?\*\//gsu, '').matchAll(/\w+/gu)]
    .map(([word]) => word)
    .filter((word) => word.startsWith(prefix))
    .map((word) => word.slice(prefix.length).toLowerCase().replaceAll('_', '-'))
}

describe('the native plan', () => {
  it('names stages and messages as the C header does', () => {
    assert.deepEqual(members('stage', 'STAGE_'), [...STAGES])
    assert.deepEqual(members('message_type', 'MESSAGE_'), Object.keys(MESSAGES))
    assert.deepEqual(
      Object.values(MESSAGES),
      Object.values(MESSAGES).map((_, index) => index + 1),
    )
  })

  it('holds a header, and records that end where it says', () => {
    const blob = encodePlan(planOf(['true', 'a'], {ignoredSignals: [1, 64]}), '/mnt')
    assert.equal(blob.readUInt32LE(4), blob.length)
    assert.equal(blob.readBigUInt64LE(32), (1n << 63n) | 1n)
    let offset = 40
    for (let left = blob.readUInt32LE(8); left > 0; left--)
      offset += 16 + Math.ceil(blob.readUInt32LE(offset + 4) / 8) * 8
    assert.equal(offset, blob.length)
  })

  it('refuses a NUL inside a string, and a map without id 0', () => {
    assert.throws(() => encodePlan(planOf(['a\0b']), '/mnt'), /NUL/u)
    assert.throws(() => encodePlan(planOf(['a'], {uidMap: [{inside: 1, outside: 1, count: 1}]}), '/mnt'), /id 0/u)
  })

  it('searches for commands as execvp does', () => {
    const candidates = (command: string, ...environment: readonly string[]): readonly string[] =>
      commandCandidates(bytes(command), environment.map(bytes)).map(String)
    assert.deepEqual(candidates('x', 'A=1', 'PATH=/a::/b', 'PATH=/c'), ['/a/x', './x', '/b/x'])
    assert.deepEqual(candidates('./x', 'PATH=/a'), ['./x'])
    assert.deepEqual(candidates('', 'PATH=/a'), [''])
    assert.ok(candidates('x').includes('/usr/bin/x'))
  })

  it('keeps bytes of PATH that are no UTF-8', () => {
    const environment = [Buffer.concat([bytes('PATH=/'), Buffer.from([0xff, 0xfe])])]
    assert.deepEqual(commandCandidates(bytes('x'), environment), [Buffer.from([0x2f, 0xff, 0xfe, 0x2f, 0x78])])
  })
})

describe('failures of launching', () => {
  const words = (stage: (typeof STAGES)[number], errno: number): string =>
    launchFailure(STAGES.indexOf(stage), 1, errno, planOf(['true'])).message

  it('are worded for every stage', () => {
    for (const stage of STAGES) assert.match(words(stage, 22), /^cannot \S.*: .+ \(EINVAL\)$/u)
  })

  it('say what a person can do about the usual ones', () => {
    assert.equal(
      words('notify-filter', 16),
      'cannot install the filter: another seccomp listener is already there (EBUSY)',
    )
    assert.equal(words('clone', 28), 'cannot make a user namespace: the limit of namespaces is reached (ENOSPC)')
    assert.match(words('idmap', 22), /does not support id-mapped mounts/u)
    assert.equal(words('file-system', 1), 'cannot mount tmpfs on /dev: operation not permitted (EPERM)')
  })
})
