import assert from 'node:assert/strict'
import {mkdirSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {hasModule, presenceOf} from '../../../src/host/kernel-modules.js'
import type {KernelPlaces} from '../../../src/host/kernel-modules.js'
import {unsupportedMounts} from '../../../src/intercept/families/mount/check.js'
import {temporaryDirectories} from '../../helpers/temporary.js'

const mounts = (...allowed: string[]) => ({allowed, fuse: {}, shift: false, sources: []})

describe('the modules and file systems of a kernel', () => {
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
    assert.deepEqual(unsupportedMounts(mounts('iso9660'), {rootless: false}, hidden), [])
  })

  it('takes - and _ in names of modules as the same', () => {
    assert.equal(hasModule('nfs_v4', places), true)
    assert.equal(hasModule('nfs_v5', places), false)
  })

  it('are what mounts need, and a near name is meant', () => {
    const unsupported = (type: string, rootless: boolean) => unsupportedMounts(mounts(type), {rootless}, places)
    assert.deepEqual(unsupported('ext4', false), [])
    assert.deepEqual(unsupported('exr4', false), [
      {flags: '--mount-allowed exr4', text: 'this kernel has no exr4', advice: ['did you mean ext4?']},
    ])
    assert.deepEqual(
      unsupported('ext4', true).map(({text}) => text),
      ["an ordinary user can't have ext4 mounted by the kernel"],
    )
  })
})
