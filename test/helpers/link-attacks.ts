// Links that an earlier container left where the next run reads and writes, for suites of root and of ordinary users.

import assert from 'node:assert/strict'
import {chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {interceptorIn} from './program.js'

interface Scene {
  /** Where the container ran, and runs again. */
  readonly cwd: string
  /** Outside of it. */
  readonly victim: string
}

/** Makes links, as a container can: in its current directory and below. */
function sceneIn(top: string): Scene {
  chmodSync(top, 0o755)
  const [cwd, victim] = [join(top, 'work'), join(top, 'victim')]
  for (const directory of [cwd, victim, join(victim, 'directory')]) mkdirSync(directory)
  writeFileSync(join(victim, 'file'), 'safe')
  writeFileSync(join(victim, 'directory/file'), 'safe')
  symlinkSync('../victim/file', join(cwd, 'file'))
  symlinkSync('../victim/directory', join(cwd, 'directory'))
  symlinkSync(join(victim, 'absent'), join(cwd, 'absent'))
  symlinkSync('/dev/loop-control', join(cwd, 'device'))
  return {cwd, victim}
}

/** Flags that go through a link; each names the link that is in the way. */
const THROUGH_LINKS: readonly (readonly [string, string, string])[] = [
  ['--log-file', 'file', 'file'],
  ['--log-file', 'absent', 'absent'],
  ['--log-file', 'directory/log', 'directory'],
  ['--manifest', 'directory/m.json', 'directory'],
  ['--manifest', 'file', 'file'],
  ['--export', 'directory/x.tar', 'directory'],
  ['--export', 'device', 'device'],
  ['--export', 'file', 'file'],
  ['--rootfs', 'directory', 'directory'],
  ['--bind', 'directory:/mnt', 'directory'],
  ['--bind', './directory/../file:/mnt', 'directory'],
  ['--bind', 'file:/tmp/x', 'file'],
  ['--device', 'device', 'device'],
  ['--mknod-allow', 'device', 'device'],
  ['--mount-source', 'directory', 'directory'],
  ['--handler', 'file', 'file'],
  ['--handler', 'directory/file', 'directory'],
  ['--config', 'file', 'file'],
  ['--config', 'directory/file', 'directory'],
  ['--export-root', 'directory', 'directory'],
]

/** In a describe callback. */
export function itFollowsNoLinks(makeDirectory: () => string): void {
  for (const [flag, value, link] of THROUGH_LINKS) {
    it(`stops at the link of ${flag} ${value}`, () => {
      const {cwd, victim} = sceneIn(makeDirectory())
      const named = value === 'device' && flag !== '--export' ? join(cwd, value) : value
      const more = flag === '--export-root' ? ['--export', 'x.tar'] : flag === '--export' ? ['--export-root', '.'] : []
      const {status, stdout, stderr} = interceptorIn({cwd}, 'run', flag, named, ...more, '--', 'sh', '-c', 'echo ran')
      assert.deepEqual([status, stdout], [125, ''], stderr)
      assert.match(stderr, new RegExp(`${join(cwd, link)} is a symbolic link, and a container may have made it`, 'u'))
      assert.match(stderr, /hint: name (?:the place that it leads to|it by its numbers)/u)
      assert.deepEqual(
        ['file', 'directory/file'].map((name) => readFileSync(join(victim, name), 'utf8')),
        ['safe', 'safe'],
      )
      assert.deepEqual(readdirSync(victim).sort(), ['directory', 'file'])
      assert.deepEqual(readdirSync(join(victim, 'directory')), ['file'])
    })
  }

  it('uses what is named beside links, and makes what is new', () => {
    const {cwd} = sceneIn(makeDirectory())
    for (const name of ['file', 'directory']) rmSync(join(cwd, name))
    mkdirSync(join(cwd, 'directory'))
    writeFileSync(join(cwd, 'directory/file'), 'own')
    const flags = ['--log-file', 'log', '--manifest', 'm.json', '--export', 'x.tar', '--export-root', 'directory']
    const words = [...flags, '--bind', 'directory:/mnt', '--', 'cat', '/mnt/file']
    const {status, stdout, stderr} = interceptorIn({cwd}, 'run', ...words)
    assert.deepEqual([status, stdout], [0, 'own'], stderr)
    assert.ok(['log', 'm.json', 'x.tar'].every((name) => existsSync(join(cwd, name))))
  })
}
