import assert from 'node:assert/strict'

import {DEFAULT_DEVICES} from '../../../../src/kernel/device-numbers.js'
import {flags, flagsOf} from '../../../../src/cli/flags/index.js'
import {toPolicy} from '../../../../src/cli/line/policy.js'
import {parseRun} from '../../../../src/cli/line/run-line.js'

describe('parseRun', () => {
  it('has plain defaults', () => {
    assert.deepEqual(parseRun(['ls', '-la'], [Buffer.from('A=1')]), {
      command: [Buffer.from('ls'), Buffer.from('-la')],
      environment: [Buffer.from('A=1')],
      policy: {},
      container: {
        name: undefined,
        rootfs: undefined,
        binds: [],
        tmpfs: [],
        devices: [],
        workdir: undefined,
        hostname: undefined,
        user: {uid: 0, gid: 0},
        uidMap: [],
        gidMap: [],
        memoryBytes: undefined,
        pids: undefined,
        cpus: undefined,
        network: 'host',
        readOnly: false,
        showsHome: false,
      },
      output: {
        trace: 'all',
        logFile: undefined,
        logFormat: 'text',
        summary: false,
        quiet: false,
        showSecrets: false,
        manifest: undefined,
        failOnRefused: false,
      },
      words: [Buffer.from('run'), Buffer.from('ls'), Buffer.from('-la')],
      ownWords: 1,
    })
  })

  it('counts its own words, with and without the two dashes', () => {
    assert.equal(parseRun(['--mknod', '--', 'ls'], [])?.ownWords, 3)
    assert.equal(parseRun(['--mknod', 'ls'], [])?.ownWords, 2)
  })

  it('keeps the bytes of the command', () => {
    assert.deepEqual(parseRun(['echo', 'a\udcff'], [])?.command, [Buffer.from('echo'), Buffer.of(0x61, 0xff)])
  })

  it('needs a command', () => {
    assert.throws(() => parseRun(['--mknod'], []), {message: 'run needs a command'})
    assert.throws(() => parseRun(['--', ''], []), {message: 'the command is an empty word'})
  })

  it('gives way to help', () => {
    assert.equal(parseRun(['--help'], []), undefined)
  })
})

describe('toPolicy', () => {
  it('leaves every family off by default', () => {
    assert.deepEqual(toPolicy({}), {})
  })

  it('switches mknod on with one more device', () => {
    assert.deepEqual(toPolicy({'mknod-allow': ['b:7:0', 'c:1:3', 'b:7:0']}), {
      mknod: {devices: [...DEFAULT_DEVICES, {type: 'b', major: 7, minor: 0}]},
    })
  })

  it('looks a device path up', () => {
    assert.deepEqual(toPolicy({mknod: true, 'mknod-allow': ['/dev/null']}), {mknod: {devices: [...DEFAULT_DEVICES]}})
  })

  it('knows sysinfo', () => {
    assert.deepEqual(toPolicy({sysinfo: true}), {sysinfo: {}})
  })
})

describe('flags', () => {
  it('have names and letters of their own', () => {
    const names = flags.map(({name}) => name)
    const chars = flags.flatMap(({char}) => char ?? [])
    assert.equal(new Set(names).size, names.length)
    assert.equal(new Set(chars).size, chars.length)
  })

  it('have a summary of one line and a description of whole sentences', () => {
    for (const {name, summary, description} of flags) {
      assert.match(summary, /^[^\n]{10,80}[^.\n]$/, name)
      assert.match(description, /\.$/, name)
    }
  })

  it('show a placeholder where they take a value', () => {
    for (const {name, kind, placeholder} of flags) assert.equal(placeholder !== undefined, kind !== 'switch', name)
  })

  it('share the interception group between run, explain and check', () => {
    const interception = flags.filter(({group}) => group === 'Interception')
    for (const command of ['run', 'explain', 'check'] as const) {
      assert.deepEqual(
        flagsOf(command).filter(({group}) => group === 'Interception'),
        interception,
      )
    }
  })
})
