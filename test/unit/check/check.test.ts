import assert from 'node:assert/strict'

import {concludeCheck} from '../../../src/check/check.js'
import {checkFamilies} from '../../../src/check/families.js'
import {checkContainer, checkIds, checkNamespaces} from '../../../src/check/machine.js'
import type {Trial} from '../../../src/check/trial.js'
import type {FamilyFinding, Finding} from '../../../src/intercept/finding.js'
import {good, missing} from '../../../src/intercept/finding.js'
import {describeCapabilities} from '../../../src/check/capability-names.js'
import {Composition} from '../../../src/intercept/composition.js'
import type {Policy} from '../../../src/intercept/policy.js'
import {checkJson, checkText} from '../../../src/render/checklist.js'
import {plainStyle} from '../../../src/render/style.js'

const trial: Trial = {works: true, started: true, strategy: 'node', failure: '', hints: [], notes: []}
const broken: Trial = {
  ...trial,
  works: false,
  started: false,
  strategy: undefined,
  failure: 'cannot make a user namespace: they are switched off (user.max_user_namespaces is 0)',
  hints: ['an administrator can run: sysctl -w user.max_user_namespaces=15000'],
}
const restrictions = {
  maxUserNamespaces: 0,
  maxMountNamespaces: 5,
  unprivilegedUserNamespaces: undefined,
  apparmorRestrictsUserNamespaces: undefined,
  confinement: undefined,
  isFiltered: false,
  noNewPrivileges: false,
  isProcMasked: false,
  container: undefined,
} as const

const check = (policy: Policy, rootless: boolean, tried = trial) =>
  checkFamilies(new Composition({policy, rootless}), {hasUnifiedHierarchy: true, trial: tried})

function family(name: string, found: readonly (FamilyFinding | Finding)[]): FamilyFinding {
  const own = found.find((each): each is FamilyFinding => each.name === name && 'flag' in each)
  assert.ok(own !== undefined)
  return own
}

describe('families that are checked', () => {
  it('have the strategy that a trial showed', () => {
    for (const strategy of ['node', 'bind']) {
      const found = check({mknod: {devices: []}}, false, {...trial, strategy})
      const {state, strategy: told, asked} = family('mknod', found)
      assert.deepEqual({state, told, asked}, {state: 'good', told: strategy, asked: true})
    }
    const found = check({}, true, {...trial, strategy: 'record'})
    assert.equal(family('mknod', found).state, 'limited')
  })

  it('are missing where no container can be made', () => {
    const found = check({}, true, broken).filter((each) => 'flag' in each)
    assert.ok(found.length > 5)
    for (const {state} of found) assert.equal(state, 'missing')
  })

  it('are missing where only root could have them', () => {
    const mount = {allowed: ['ext4'], fuse: {}, shift: false, sources: []}
    const found = check({mount}, true)
    assert.deepEqual([family('mount', found).state, family('bpf', found).state], ['missing', 'missing'])
    assert.match(family('mount', found).advice.join('\n'), /--mount-fuse ext4=fuse2fs/u)
  })

  it('fail the check only where they were asked for', () => {
    const found = check({bpf: {devices: true}}, true)
    assert.deepEqual(concludeCheck({rootless: true, tasks: []}, found).lacking, ['--bpf'])
    const unasked = check({}, true)
    assert.deepEqual(concludeCheck({rootless: true, tasks: []}, unasked).lacking, [])
  })

  it('fail with what everything needs', () => {
    const found = check({sysinfo: {}}, true)
    const all = [missing('notifications', 'no'), ...found]
    assert.deepEqual(concludeCheck({rootless: true, tasks: []}, all).lacking, ['--sysinfo'])
  })
})

describe('findings of check', () => {
  it('name the switch that forbids user namespaces, with the command that changes it', () => {
    const {state, text, advice} = checkNamespaces(restrictions, broken)
    assert.equal(state, 'missing')
    assert.match(text, /user\.max_user_namespaces is 0/u)
    assert.deepEqual(advice, broken.hints)
    assert.equal(checkContainer(broken).state, 'missing')
  })

  it('tell an ordinary user without a range what an administrator would run', () => {
    const note =
      'the container has one user and one group id, so chown fails: u has no range; an administrator can run: usermod x'
    const privileges = {
      uid: 1_999_999_999,
      gid: 5,
      capabilities: 0n,
      uidMap: [],
      gidMap: [],
      isFiltered: false,
      noNewPrivileges: false,
    }
    const {state, advice} = checkIds(privileges, {...trial, notes: [note]})
    assert.deepEqual({state, advice}, {state: 'limited', advice: ['an administrator can run: usermod x']})
  })

  it('name programs and file systems that are not there', () => {
    const found = (mount: object) =>
      check({mount: {allowed: [], fuse: {}, shift: false, sources: [], ...mount}}, false)
        .filter((each) => !('flag' in each))
        .map(({name, state, text}) => `${name} ${state}: ${text}`)
    const [fuse, systems] = found({fuse: {ntfs: 'no-such-program'}, allowed: ['tmpfs', 'nosuchfs']})
    assert.equal(fuse, 'FUSE missing: no-such-program not found on PATH')
    assert.equal(systems, 'file systems missing: this kernel has no nosuchfs')
    assert.equal(found({}).length, 1)
  })

  it('describe capabilities by the shorter list', () => {
    assert.equal(describeCapabilities(0n), 'no capability')
    assert.equal(describeCapabilities((1n << 41n) - 1n), 'all capabilities')
    assert.equal(describeCapabilities((1n << 41n) - 1n - (1n << 21n)), 'all capabilities but sys_admin')
    assert.equal(describeCapabilities(1n << 27n), 'mknod')
  })

  it('are shown escaped, one line each, with their advice below', () => {
    const findings = [good('a', 'x\u001B[2J'), missing('b', 'y', 'do this')]
    const text = checkText({rootless: true, findings, families: [], lacking: ['--bpf']}, plainStyle)
    assert.equal(text.includes('\u001B'), false)
    assert.deepEqual(
      text.split('\n').map((line) => line.slice(0, 9).trim()),
      ['ok      a', 'missing b', '', '--bpf can', ''],
    )
    assert.match(text, /^ {26}do this$/mu)
    assert.equal(
      (JSON.parse(checkJson({rootless: true, findings, families: [], lacking: []})) as {good: boolean}).good,
      true,
    )
  })
})
