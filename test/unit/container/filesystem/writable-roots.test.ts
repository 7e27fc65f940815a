import assert from 'node:assert/strict'

import {homesOf, refusal, setuidWarning} from '../../../../src/container/filesystem/writable-roots.js'
import type {FileFacts} from '../../../../src/container/filesystem/host.js'

const HOMES = homesOf(Buffer.from('root:x:0:0::/root:/bin/sh\nme:x:1:1::/home/me:/bin/sh\ndaemon:x:2:2::/:/\nx::::y\n'))

/** /again is / mounted once more; everything else is itself. */
function stat(path: Buffer): FileFacts {
  const name = path.toString()
  const identity = name === '/again' ? '/' : name === '/homes/me' ? '/home/me' : name
  return {type: 'directory', mode: name.includes('private') ? 0o700 : 0o755, uid: 0, gid: 0, identity}
}

function guard(directory: string, rootless = false): string | undefined {
  return refusal({directory: Buffer.from(directory), rootless, homes: HOMES, stat})
}

describe('refusal', () => {
  const refused = [
    '/',
    '/again',
    '/root',
    '/home',
    '/home/me',
    '/homes/me',
    '/etc',
    '/etc/ssh',
    '/usr',
    '/usr/share/x',
    '/usr/src',
    '/bin',
    '/lib',
    '/lib64/x',
    '/libx32',
    '/boot/grub',
    '/dev',
    '/dev/shm',
    '/dev/mapper',
    '/proc/1',
    '/sys/fs/cgroup',
    '/run/systemd',
    '/var',
    '/var/lib',
    '/var/lib/dpkg/info',
    '/var/lib/docker',
    '/var/log',
    '/var/spool/cron/crontabs',
  ]
  for (const directory of refused)
    it(`refuses ${directory}`, () => {
      assert.notEqual(guard(directory), undefined)
    })

  const granted = [
    '/root/work',
    '/home/me/src',
    '/home/you',
    '/tmp',
    '/tmp/x',
    '/var/tmp',
    '/var/tmp/x',
    '/var/lib/jenkins/workspace/a',
    '/var/www/site',
    '/var/cache/pbuilder/build',
    '/usr/src/app',
    '/srv',
    '/opt/thing',
    '/mnt',
    '/data',
    '/library',
    '/etcetera',
    '/dev/shm/build',
  ]
  for (const directory of granted)
    it(`grants ${directory}`, () => {
      assert.equal(guard(directory), undefined)
    })

  it('leaves an ordinary user everything but the root and what is no tree of files', () => {
    assert.equal(guard('/home/me', true), undefined)
    assert.equal(guard('/usr/share', true), undefined)
    assert.notEqual(guard('/', true), undefined)
    assert.notEqual(guard('/proc/self', true), undefined)
  })
})

describe('setuidWarning', () => {
  it('is given where each ancestor can be searched by others', () => {
    assert.match(setuidWarning(Buffer.from('/srv/a'), stat) ?? '', /other users can reach \/srv\/a/)
    assert.equal(setuidWarning(Buffer.from('/srv/private/a'), stat), undefined)
    assert.equal(setuidWarning(Buffer.from('/srv/private'), stat), undefined)
  })
})
