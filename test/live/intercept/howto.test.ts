// docs/HOWTO_ADD_A_SYSCALL.md: its example works, and what it names is there.

import assert from 'node:assert/strict'
import {existsSync, readFileSync} from 'node:fs'
import {join} from 'node:path'

import {family} from '../../fixtures/howto-family.js'
import {NotifyChild, buildNotifyChild} from '../../helpers/notify-child.js'
import {hasProgram, PROJECT} from '../../helpers/program.js'
import {skipTestUnless, skipUnlessRoot} from '../../helpers/skip.js'
import {machineAbis, syscallNumber} from '../../../src/kernel/calls/index.js'

const page = readFileSync(join(PROJECT, 'docs', 'HOWTO_ADD_A_SYSCALL.md'), 'utf8')
const fixture = new URL('../../fixtures/howto-family.ts', import.meta.url)

describe('the page on adding a system call', () => {
  it('shows the code that is tested', () => {
    const shown = /```ts\n(.*?)```/su.exec(page)?.[1]
    const tested = /\/\/ begin\n(.*?)\/\/ end/su.exec(readFileSync(fixture, 'utf8'))?.[1]
    assert.equal(shown?.trim(), tested?.trim())
  })

  it('names files that exist', () => {
    const named = [...page.matchAll(/`((?:src|test|schemas|docs)\/[^`]+|CHANGELOG\.md)`/gu)].map(
      ([, name = '']) => name,
    )
    assert.ok(named.length > 10)
    assert.deepEqual(
      named.filter((name) => !name.includes('NAME') && !existsSync(join(PROJECT, name))),
      [],
    )
  })
})

describe('its example', () => {
  skipUnlessRoot()

  it('answers in a real container', async function () {
    skipTestUnless(this, hasProgram('cc'), 'needs a C compiler')
    const child = await NotifyChild.start(buildNotifyChild(), {module: fixture.href, family})
    try {
      const syslog = syscallNumber(machineAbis(process.arch)[0]!, 'syslog')!
      assert.deepEqual(await child.run('call', syslog, 10, 0, 0), {result: 36, errno: 0})
      assert.deepEqual(await child.run('call', syslog, 3, 8, 16), {result: -1, errno: 14})
      assert.deepEqual(await child.run('call', syslog, 3, 8, -1), {result: -1, errno: 22})
    } finally {
      await child.end()
    }
    assert.deepEqual(
      child.decisions.map(({syscall, outcome}) => `${syscall} ${outcome}`),
      ['syslog emulated', 'syslog failed', 'syslog refused'],
    )
    assert.deepEqual(child.fatal, [])
  })
})
