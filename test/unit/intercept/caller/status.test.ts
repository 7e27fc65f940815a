// /proc/TID/status as bytes.

import assert from 'node:assert/strict'

import {parseStatus} from '../../../../src/intercept/caller/status.js'

const text = (name: string, groups = '4 24 '): Buffer =>
  Buffer.from(
    `Name:\t${name}\nUmask:\t0027\nState:\tR (running)\nTgid:\t40\nNgid:\t0\nPid:\t41\nPPid:\t1\n` +
      `Uid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nFDSize:\t64\nGroups:\t${groups}\nNStgid:\t40\t3\nNSpid:\t41\t4\n` +
      'CapInh:\t0000000000000000\nCapPrm:\t000001ffffffffff\nCapEff:\t0000000008000002\n',
    'latin1',
  )

describe('parseStatus', () => {
  it('reads effective and fs ids, groups, umask, capabilities and the pid columns', () => {
    assert.deepEqual(parseStatus(text('mknod')), {
      comm: 'mknod',
      tgid: 40,
      namespaceTids: [41, 4],
      namespaceTgids: [40, 3],
      uid: 2,
      gid: 6,
      fsuid: 4,
      fsgid: 8,
      groups: Uint32Array.of(4, 24),
      umask: 0o27,
      effective: 0x8000002n,
    })
  })

  it('takes an empty list of groups', () => {
    assert.deepEqual(parseStatus(text('x', ''))?.groups, new Uint32Array(0))
  })

  it('undoes what the kernel escapes in a name, and is not fooled by a name that looks like a line', () => {
    assert.equal(parseStatus(text('a\\nUid:\\t0'))?.comm, 'a\nUid:\\t0')
    assert.equal(parseStatus(text('a\\\\n'))?.comm, 'a\\n')
    assert.equal(parseStatus(text('a\\nUmask:\t7'))?.umask, 0o27)
  })

  it('is undefined where a line is missing, as for a zombie', () => {
    assert.equal(parseStatus(Buffer.from('Name:\tx\nTgid:\t1\n')), undefined)
    assert.equal(parseStatus(Buffer.alloc(0)), undefined)
  })
})
