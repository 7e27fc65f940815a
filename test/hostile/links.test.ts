import assert from 'node:assert/strict'
import {execFileSync} from 'node:child_process'
import {mkdirSync, readFileSync} from 'node:fs'
import {join} from 'node:path'

import {itFollowsNoLinks} from '../helpers/link-attacks.js'
import {interceptorIn} from '../helpers/program.js'
import {skipUnlessPrivileged} from '../helpers/skip.js'
import {temporaryDirectories} from '../helpers/temporary.js'

describe('links that a container left for the next run of root', function () {
  this.timeout(60_000)
  skipUnlessPrivileged()
  const temporary = temporaryDirectories()

  itFollowsNoLinks(temporary)

  it('are not what an archive is written over: neither is a device node that it left', () => {
    const cwd = temporary()
    const node = interceptorIn({cwd}, 'run', '--mknod', '--', 'mknod', 'x.tar', 'c', '1', '3')
    assert.equal(node.status, 0, node.stderr)
    const {status, stderr} = interceptorIn({cwd}, 'run', '--export', 'x.tar', '--export-root', '.', '--', 'true')
    assert.equal(status, 125)
    assert.match(stderr, /cannot export to x\.tar: it is a device node outside \/dev/u)
  })

  it('cannot be put in the place of a bind while it is made', async () => {
    const top = temporary()
    execFileSync('sh', ['-euc', 'mkdir tree tree/data victim; echo own >tree/data/f; echo secret >victim/f'], {
      cwd: top,
    })
    mkdirSync(join(top, 'other'))
    // Swaps as fast as it can, as a container that shares the directory could.
    const swap =
      'i=0; while [ $i -lt 400 ]; do mv -T data d; ln -sT ../victim data; rm data; mv -T d data; i=$((i+1)); done'
    const {spawn} = await import('node:child_process')
    const swapping = spawn('sh', ['-c', swap], {cwd: join(top, 'tree')})
    try {
      for (let round = 0; round < 12; round++) {
        const {stdout} = interceptorIn(
          {cwd: join(top, 'other')},
          ...['run', '--quiet', '--bind', '../tree/data:/mnt', '--', 'cat', '/mnt/f'],
        )
        assert.ok(['', 'own\n'].includes(stdout), stdout)
      }
    } finally {
      swapping.kill()
    }
    assert.equal(readFileSync(join(top, 'victim/f'), 'utf8'), 'secret\n')
  })
})
