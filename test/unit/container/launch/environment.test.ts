import assert from 'node:assert/strict'

import {commandEnvironment} from '../../../../src/container/launch/environment.js'
import {withAdministration} from '../../../../src/host/programs.js'

const DEBIAN_USER = '/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games'
const SBIN = '/usr/local/sbin:/usr/sbin:/sbin'

describe('commandEnvironment', () => {
  const inherited = {PATH: DEBIAN_USER, HOME: '/home/somebody'}
  const given = (variables: Readonly<Record<string, string>>) =>
    Object.entries(variables).map(([name, value]) => Buffer.from(`${name}=${value}`, 'latin1'))
  const shown = (environment: readonly Buffer[], changes: {hasRootfs?: boolean; uid?: number} = {}) => {
    const options = {inherited, hasRootfs: false, uid: 0, pwd: Buffer.from('/work'), ...changes}
    const entries = commandEnvironment(environment, options).map((entry) => entry.toString('latin1'))
    return new Map(entries.map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]))
  }

  it('gives container root the directories of administration, behind those that were inherited', () => {
    assert.equal(shown(given(inherited)).get('PATH'), `${DEBIAN_USER}:${SBIN}`)
  })

  it('gives another user of the container the PATH that was inherited', () => {
    assert.equal(shown(given(inherited), {uid: 1000}).get('PATH'), DEBIAN_USER)
  })

  it('leaves a PATH of the command line alone, and adds none', () => {
    assert.equal(shown(given({PATH: '/opt/bin'})).get('PATH'), '/opt/bin')
    assert.equal(shown([]).get('PATH'), undefined)
  })

  it('gives a HOME that the command can use, unless the command line names one', () => {
    assert.equal(shown(given(inherited)).get('HOME'), '/tmp')
    assert.equal(shown([]).get('HOME'), '/tmp')
    assert.equal(shown(given(inherited), {hasRootfs: true}).get('HOME'), '/root')
    assert.equal(shown(given(inherited), {hasRootfs: true, uid: 1000}).get('HOME'), '/tmp')
    assert.equal(shown(given({HOME: '/srv'})).get('HOME'), '/srv')
  })

  it('sets PWD, and keeps the bytes of everything else', () => {
    const variables = shown(given({PWD: '/elsewhere', ODD: 'e\xff', HOME: '/srv'}))
    assert.deepEqual(Object.fromEntries(variables), {PWD: '/work', ODD: 'e\xff', HOME: '/srv'})
  })
})

describe('withAdministration', () => {
  const cases: readonly [string, string][] = [
    ['/usr/bin', `/usr/bin:${SBIN}`],
    ['/sbin:/usr/bin', '/sbin:/usr/bin:/usr/local/sbin:/usr/sbin'],
    [`${SBIN}:/bin`, `${SBIN}:/bin`],
    // An empty member is the current directory.
    ['', `:${SBIN}`],
  ]
  for (const [path, expected] of cases) {
    it(`makes "${expected}" of "${path}"`, () => assert.equal(withAdministration(path), expected))
  }
})
