import assert from 'node:assert/strict'

import type {CallerFacts} from '../../../../../src/intercept/family.js'
import {decideChange, decideGet, decideList} from '../../../../../src/intercept/families/setxattr/decide.js'

const OPAQUE = 'trusted.overlay.opaque'
const policy = {names: [OPAQUE]}
const root: CallerFacts = {uid: 0, gid: 0, effective: 1n << 21n, inContainerUserNamespace: true}
const user: CallerFacts = {...root, uid: 1000, effective: 0n}
const nested: CallerFacts = {...root, inContainerUserNamespace: false}
const named = (name: string) => ({name: Buffer.from(name)})

describe('setxattr decisions', () => {
  it('leave every name that is not trusted to the kernel, without a word', () => {
    for (const name of ['user.x', 'security.capability', 'system.posix_acl_access', '', 'trusted', 'Trusted.x']) {
      for (const decide of [decideChange, decideGet]) {
        const verdict = decide(named(name), root, policy, false)
        assert.deepEqual([verdict.kind, 'silent' in verdict && verdict.silent], ['continue', true], name)
      }
    }
    const unread = {name: {errno: 14}}
    assert.equal(decideChange(unread, root, policy, false).kind, 'continue')
    assert.equal(decideGet(unread, root, policy, true).kind, 'continue')
  })

  const changes: readonly [string, Parameters<typeof decideChange>[0], CallerFacts, string, string | undefined][] = [
    ['an allowed name', {...named(OPAQUE), flags: 3, value: Buffer.from('y')}, root, 'perform', undefined],
    ['another name', named('trusted.x'), root, 'refuse', 'trusted.x'],
    ['a longer name', named(`${OPAQUE}2`), root, 'refuse', `${OPAQUE}2`],
    ['a name in other bytes', {name: Buffer.from('trusted.overlay.opaque\xff', 'latin1')}, root, 'refuse', undefined],
    ['no capability', named(OPAQUE), user, 'refuse', undefined],
    ['a nested user namespace', named(OPAQUE), nested, 'continue', undefined],
    ['unknown flags', {...named(OPAQUE), flags: 4}, root, 'continue', undefined],
    ['a value that is too long', {...named(OPAQUE), value: null}, root, 'continue', undefined],
  ]
  for (const [title, values, facts, kind, hint] of changes) {
    it(`are about ${title}: ${kind}`, () => {
      const verdict = decideChange(values, facts, policy, false)
      assert.equal(verdict.kind, kind)
      if (hint !== undefined)
        assert.deepEqual('hint' in verdict && verdict.hint, {flag: '--setxattr-allow', value: hint})
    })
  }

  it('show attributes to those alone who hold CAP_SYS_ADMIN in the container', () => {
    assert.equal(decideGet(named(OPAQUE), root, policy, false).kind, 'perform')
    assert.equal(decideGet(named('trusted.x'), root, policy, false).kind, 'continue')
    for (const facts of [user, nested]) {
      assert.equal(decideGet(named(OPAQUE), facts, policy, false).kind, 'continue')
      assert.equal(decideList({}, facts, policy, false).kind, 'continue')
    }
  })

  it('keep the place of recorded attributes for themselves without root', () => {
    const recorded = named(`user.interceptor.${OPAQUE}`)
    assert.equal(decideChange(recorded, root, policy, true).kind, 'refuse')
    assert.equal(decideChange(recorded, root, policy, false).kind, 'continue')
    assert.equal(decideGet(recorded, user, policy, true).kind, 'perform')
    assert.equal(decideList({}, user, policy, true).kind, 'perform')
  })
})
