import assert from 'node:assert/strict'
import {mkdirSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {absentFileSystems, impossibilityNotes, withoutRoot} from '../../../src/container/unsupported.js'
import {hasModule, presenceOf} from '../../../src/container/kernel-modules.js'
import type {KernelPlaces} from '../../../src/container/kernel-modules.js'
import {temporaryDirectories} from '../../helpers/temporary.js'

const mount = (...allowed: string[]) => ({mount: {allowed, fuse: {}, shift: false, sources: []}})

describe('what can not work on a machine', () => {
  const directory = temporaryDirectories()
  let places: KernelPlaces
  let builtWithout: KernelPlaces

  before(() => {
    const root = directory()
    places = {fileSystems: join(root, 'fs'), modulesDisabled: join(root, 'disabled'), library: join(root, 'lib')}
    mkdirSync(places.library)
    writeFileSync(places.fileSystems, 'nodev\ttmpfs\nnodev\toverlay\nnodev\tfuse\n\text4\n')
    writeFileSync(places.modulesDisabled, '0\n')
    writeFileSync(join(places.library, 'modules.dep'), 'kernel/fs/isofs/isofs.ko.xz:\nkernel/fs/nfs/nfs-v4.ko: a.ko\n')
    writeFileSync(join(places.library, 'modules.alias'), 'alias fs-iso9660 isofs\nalias fs-nfs4 nfsv4\n')
    builtWithout = {...places, modulesDisabled: join(root, 'absent')}
  })

  const rows: readonly [string, string][] = [
    ['ext4', 'present'],
    ['fuse.sshfs', 'present'],
    ['iso9660', 'module'],
    ['isofs', 'module'],
    ['nfs4', 'module'],
    ['exr4', 'absent'],
  ]
  for (const [type, presence] of rows) {
    it(`finds ${type} ${presence}`, () => assert.equal(presenceOf(type, places), presence))
  }

  it('knows that nothing is loaded where modules are not built in or switched off', () => {
    assert.equal(presenceOf('iso9660', builtWithout), 'absent')
    const switchedOff = {...places, modulesDisabled: join(places.library, 'off')}
    writeFileSync(switchedOff.modulesDisabled, '1\n')
    assert.equal(presenceOf('iso9660', switchedOff), 'absent')
  })

  it('does not claim to know where the modules are not to be seen', () => {
    const hidden = {...places, library: join(places.library, 'none')}
    assert.equal(presenceOf('iso9660', hidden), 'unknown')
    assert.deepEqual(impossibilityNotes(mount('iso9660'), false, hidden), [])
  })

  it('takes - and _ in names of modules as the same', () => {
    assert.equal(hasModule('nfs_v4', places), true)
    assert.equal(hasModule('nfs_v5', places), false)
  })

  it('names the nearest file system', () => {
    const [found] = absentFileSystems(mount('exr4'), places)
    assert.deepEqual([found?.text, found?.advice], ['this kernel has no exr4', ['did you mean ext4?']])
  })

  it('tells what an ordinary user can never have', () => {
    const policy = {modules: {names: ['dummy', 'loop']}, bpf: {devices: true}, ...mount('overlay', 'tmpfs', 'ext4')}
    assert.deepEqual(
      withoutRoot(policy).map(({flags}) => flags),
      ['--bpf-devices', '--finit-module dummy,loop', '--mount-allowed ext4'],
    )
    assert.match(withoutRoot(policy)[2]?.advice.join() ?? '', /or use --mount-fuse ext4=fuse2fs/)
    assert.deepEqual(withoutRoot(mount('overlay')), [])
  })

  it('is one line of run, with the flags that check takes', () => {
    assert.deepEqual(impossibilityNotes(mount('ext4'), false, places), [])
    assert.deepEqual(impossibilityNotes({...mount('ext4'), modules: {names: ['dummy']}}, true, places), [
      '--finit-module dummy can not work here: only root of the host can load modules; ' +
        "--mount-allowed ext4 can not work here: an ordinary user can't have ext4 mounted by the kernel; " +
        'for more: interceptor check --finit-module dummy --mount-allowed ext4',
    ])
    assert.equal(impossibilityNotes(mount('exr4'), true, places).length, 1)
  })
})
