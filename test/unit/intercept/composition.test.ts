// What comes of a policy: the calls, their parts, and the two filters.

import assert from 'node:assert/strict'

import {abisOfMachine, ABIS} from '../../../src/kernel/abi.js'
import {Composition} from '../../../src/intercept/composition.js'
import type {CompositionRequest} from '../../../src/intercept/composition.js'
import type {AnyCall, AnyFamily} from '../../../src/intercept/family.js'
import {actionOf} from '../../../src/intercept/filter/bpf.js'
import type {Action} from '../../../src/intercept/filter/bpf.js'
import {runFilters} from '../../../src/intercept/filter/bpf-vm.js'
import {rulesFor} from '../../../src/intercept/filter/filter.js'
import {syscallNumber} from '../../../src/kernel/calls/index.js'

function compose(request: Partial<CompositionRequest>): Composition {
  return new Composition({policy: {}, rootless: false, abis: abisOfMachine('x64'), ...request})
}

/** What the two filters together answer to a call of x86_64. */
function answer({deny, notify}: Composition, name: string, registers: readonly bigint[] = []): Action {
  const number = syscallNumber('x86_64', name)
  assert.ok(number !== undefined)
  const programs = [deny, ...(notify === undefined ? [] : [notify])].map(({instructions}) => instructions)
  const call = {number, arch: ABIS.x86_64.auditArch, instructionPointer: 0n, arguments: registers}
  const run = runFilters(programs, call)
  assert.ok(run !== undefined)
  return actionOf(run.value)
}

function family(name: string, ...calls: readonly Partial<AnyCall>[]): AnyFamily {
  const whole = calls.map((call) => ({arguments: {}, decide: () => ({kind: 'continue', reason: ''}), ...call}))
  return {name, select: () => ({}), calls: () => whole, start: () => name} as unknown as AnyFamily
}

describe('a composition', () => {
  it('intercepts nothing without a policy, and denies all the same', () => {
    const none = compose({})
    assert.deepEqual([none.calls.size, none.families, none.notify], [0, [], undefined])
    assert.deepEqual(answer(none, 'kexec_load'), {kind: 'errno', errno: 38})
  })

  it('lets a family answer what is denied by default, and nothing else of it', () => {
    const modules = compose({policy: {modules: {names: ['dummy']}}})
    assert.deepEqual(answer(modules, 'finit_module'), {kind: 'notify'})
    assert.deepEqual(answer(modules, 'delete_module'), {kind: 'errno', errno: 38})
    const own = {file: '/h.js', index: 0, name: 'delete_module', timeLimitMs: 1, arguments: []}
    const handler = compose({policy: {handler: {calls: [own]}}})
    assert.deepEqual(answer(handler, 'delete_module'), {kind: 'notify'})
    assert.ok(!modules.denied.has('init_module') && modules.denied.has('delete_module'))
  })

  it('denies what a configuration denies, whatever a family would answer', () => {
    const mknod = {policy: {mknod: {devices: []}}}
    const node = [0n, 0n, 0o020_000n, 0x103n]
    assert.deepEqual(answer(compose(mknod), 'mknodat', node), {kind: 'notify'})
    const rules = rulesFor('mknodat', {kind: 'errno', errno: 13}, undefined, abisOfMachine('x64'))
    const denied = compose({...mknod, denied: {rules, defaults: false}})
    assert.deepEqual(answer(denied, 'mknodat', node), {kind: 'errno', errno: 13})
    assert.deepEqual(answer(denied, 'kexec_load'), {kind: 'allow'})
    assert.deepEqual(answer(denied, 'ioctl', [0n, 0x5412n]), {kind: 'errno', errno: 1})
  })

  it('has what an ordinary user needs beside root', () => {
    const policy = {mknod: {devices: []}}
    const [root, user] = [false, true].map((rootless) => compose({policy, rootless}))
    assert.ok(!root!.calls.has('fchmodat') && user!.calls.has('fchmodat'))
    assert.deepEqual(answer(user!, 'fchmodat'), {kind: 'notify'})
  })

  it('makes one call of those of several families, in their order', () => {
    const [one, other] = [family('one', {name: 'chmod'}), family('other', {name: 'chmod'}, {name: 'chown'})]
    const {calls} = compose({families: [one, other]})
    const partsOf = (name: string) => calls.get(name)?.parts.map((part) => part.family.name)
    assert.deepEqual([partsOf('chmod'), partsOf('chown')], [['one', 'other'], ['other']])
    assert.equal(calls.get('chown')?.call, calls.get('chown')?.parts[0]?.call)
  })

  it('refuses a family that declares a call twice', () => {
    assert.throws(
      () => compose({families: [family('one', {name: 'chmod'}, {name: 'chmod'})]}),
      /chmod is declared twice/,
    )
  })

  it('shows arguments in the order of the call, whichever family declares them', () => {
    const at = (index: number) => ({index}) as never
    const families = [
      family('one', {name: 'chmod', arguments: {mode: at(1)}}),
      family('other', {name: 'chmod', arguments: {path: at(0)}}),
    ]
    assert.deepEqual(Object.keys(compose({families}).argumentsOf('chmod') ?? {}), ['path', 'mode'])
  })

  it('can be asked what it would be without a family', () => {
    const whole = compose({policy: {sysinfo: {}, mknod: {devices: []}}})
    assert.deepEqual([...whole.without('mknod').calls.keys()].sort(), ['seccomp', 'sysinfo'])
  })

  it('holds code that is not ours only where that is asked for', async () => {
    const loaded = family('handler', {name: 'chmod', perform: () => ({kind: 'done', value: 1, strategy: 'handler'})})
    const declared = {...family('handler', {name: 'chmod'}), withHandlers: () => Promise.resolve(loaded)} as AnyFamily
    const plain = compose({families: [declared]})
    const ofFamily = ({families}: Composition) => families.map(({family: each}) => each)
    assert.deepEqual(ofFamily(plain), [declared])
    assert.deepEqual(ofFamily(await plain.withHandlers()), [loaded])
  })
})
