import assert from 'node:assert/strict'

import {unsupportedNotes} from '../../../src/container/unsupported.js'
import {Composition} from '../../../src/intercept/composition.js'
import type {Policy} from '../../../src/intercept/policy.js'

const mount = (...allowed: string[]) => ({mount: {allowed, fuse: {}, shift: false, sources: []}})
const notes = (policy: Policy, rootless: boolean) => unsupportedNotes(new Composition({policy, rootless}))

describe('what cannot work here', () => {
  it('is nothing where all of it can', () => {
    assert.deepEqual(notes({mknod: {devices: []}, sysinfo: {}, ...mount('tmpfs')}, true), [])
    assert.deepEqual(notes({bpf: {devices: true}, modules: {names: ['dummy']}, ...mount('tmpfs')}, false), [])
  })

  it('is one line, with the flags that check takes', () => {
    assert.deepEqual(notes({modules: {names: ['dummy', 'loop']}, bpf: {devices: true}}, true), [
      '--bpf-devices cannot work here: only root of the host can load device programs; ' +
        '--finit-module dummy,loop cannot work here: only root of the host can load modules; ' +
        'for more: interceptor check --bpf-devices --finit-module dummy,loop',
    ])
  })

  it('names what is wrong with one flag once', () => {
    assert.equal(notes(mount('nosuchfs'), true).length, 1)
  })
})
